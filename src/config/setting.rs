//! How each kind of value is read and shown. A reader gets text (environment, flags) or what the
//! file's syntax made of it; it answers with the rest of the sentence "`key` must be …" and never
//! quotes the value.

use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::domain::Network;

/// A value as it was given. Has no `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) enum Raw {
    Text(String),
    Number(i64),
    Flag(bool),
    List(Vec<String>),
    /// What no key takes: a float, a date, a list of other things than text.
    Other,
}

/// A kind of value that a key can have.
pub(super) trait Setting: Sized {
    /// For the reference, in words.
    const KIND: &'static str;
    const SECRET: bool = false;
    /// The error says what would be right: `must be …`.
    fn read(raw: &Raw) -> Result<Self, String>;
    /// As it would be written; secrets as `(set)`.
    fn show(&self) -> String;
}

fn must_be<T>(what: &str) -> Result<T, String> {
    Err(format!("must be {what}"))
}

/// The text of a value that is text, not empty and without control characters.
pub(super) fn text<'a>(raw: &'a Raw, what: &str) -> Result<&'a str, String> {
    match raw {
        Raw::Text(text) if text.is_empty() => Err(format!("is empty: leave it out, or make it {what}")),
        Raw::Text(text) if text.chars().any(char::is_control) => {
            must_be(&format!("{what}, without control characters"))
        }
        // What was not UTF-8 in the environment has arrived as this character.
        Raw::Text(text) if text.contains('\u{FFFD}') => must_be(&format!("{what}, in UTF-8")),
        Raw::Text(text) => Ok(text),
        _ => must_be(&format!("{what}, as text in quotes")),
    }
}

macro_rules! whole_number {
    ($($kind:ty),*) => { $(
        impl Setting for $kind {
            const KIND: &'static str = "number";

            fn read(raw: &Raw) -> Result<Self, String> {
                let number = match raw {
                    Raw::Number(number) => <$kind>::try_from(*number).ok(),
                    // `parse` takes a leading `+`, which the file's syntax does not.
                    Raw::Text(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
                    _ => None,
                };
                number.ok_or_else(|| format!("must be a whole number from 0 to {}", <$kind>::MAX))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )* };
}

whole_number!(u32, u64);

impl Setting for bool {
    const KIND: &'static str = "true or false";

    fn read(raw: &Raw) -> Result<Self, String> {
        match raw {
            Raw::Flag(flag) => Ok(*flag),
            Raw::Text(text) if text == "true" => Ok(true),
            Raw::Text(text) if text == "false" => Ok(false),
            _ => must_be("true or false"),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    const KIND: &'static str = "text";

    fn read(raw: &Raw) -> Result<Self, String> {
        text(raw, "text").map(str::to_owned)
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";

    fn read(raw: &Raw) -> Result<Self, String> {
        text(raw, "a path").map(PathBuf::from)
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for SocketAddr {
    const KIND: &'static str = "address:port";

    fn read(raw: &Raw) -> Result<Self, String> {
        let what = "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080";
        text(raw, what)?.parse().or_else(|_| must_be(what))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for Vec<Network> {
    const KIND: &'static str = "list of addresses and ranges";

    /// In the environment separated by commas; the empty list is allowed and believes nobody.
    fn read(raw: &Raw) -> Result<Self, String> {
        let parts: Vec<&str> = match raw {
            Raw::Text(text) => text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect(),
            Raw::List(list) => list.iter().map(String::as_str).collect(),
            _ => Vec::from(["?"]),
        };
        let what = "a list of IP addresses and ranges such as 10.0.0.0/8, with no bit set beyond the prefix";
        parts.into_iter().map(|part| part.parse().or_else(|_| must_be(what))).collect()
    }

    fn show(&self) -> String {
        if self.is_empty() {
            return "–".to_owned();
        }
        self.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

impl Setting for SecretString {
    const KIND: &'static str = "secret";
    const SECRET: bool = true;

    /// Text only: a number would lose its leading zeros on the way.
    fn read(raw: &Raw) -> Result<Self, String> {
        text(raw, "text").map(SecretString::from)
    }

    fn show(&self) -> String {
        "(set)".to_owned()
    }
}

impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;
    const SECRET: bool = T::SECRET;

    fn read(raw: &Raw) -> Result<Self, String> {
        T::read(raw).map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "–".to_owned(), T::show)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Raw {
        Raw::Text(value.to_owned())
    }

    #[test]
    fn numbers_are_plain_digits_in_range() {
        assert_eq!(u32::read(&text("007")), Ok(7));
        assert_eq!(u32::read(&Raw::Number(7)), Ok(7));
        for bad in ["", "+7", "-7", "7.0", "4294967296", "7 "] {
            assert!(u32::read(&text(bad)).is_err(), "{bad}");
        }
        assert!(u32::read(&Raw::Number(-1)).is_err());
    }

    #[test]
    fn a_flag_is_true_or_false_and_no_other_word() {
        assert_eq!(bool::read(&text("true")), Ok(true));
        for bad in ["1", "yes", "TRUE", ""] {
            assert!(bool::read(&text(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_secret_is_text_and_shows_only_that_it_is_set() {
        let secret = SecretString::read(&text("0012")).unwrap();
        assert_eq!(secret.show(), "(set)");
        assert!(SecretString::read(&Raw::Number(12)).is_err());
        assert!(SecretString::read(&text("")).is_err());
    }

    #[test]
    fn proxies_are_separated_by_commas_or_listed() {
        let both = [text("10.0.0.0/8, ::1"), Raw::List(vec!["10.0.0.0/8".into(), "::1".into()])];
        for raw in both {
            assert_eq!(Vec::<Network>::read(&raw).unwrap().show(), "10.0.0.0/8,::1");
        }
        assert_eq!(Vec::<Network>::read(&text("")), Ok(Vec::new()));
        assert!(Vec::<Network>::read(&text("10.0.0.1/8")).is_err());
        assert!(Vec::<Network>::read(&Raw::Number(10)).is_err());
    }
}
