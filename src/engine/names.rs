//! Names of people: what a username and an email may be, and the key by which they are compared.
//! One key for every spelling, so that neither a look-alike account nor a fresh guessing limit can
//! be had by another letter case or another composition of the same characters.

use unicode_normalization::UnicodeNormalization;

use crate::domain::User;
use crate::store::users::NameKeys;

/// Most characters of a username, and of its key.
const MOST_CHARACTERS: usize = 255;
/// RFC 5321 §4.5.3.1.3, less the angle brackets.
const MOST_EMAIL_BYTES: usize = 254;

/// Characters that show nothing or reorder what stands beside them: category Cf, the other
/// default-ignorable ones (Unicode 16), and what stands for a character that was lost.
const INVISIBLE: [(u32, u32); 29] = [
    (0x00AD, 0x00AD),
    (0x034F, 0x034F),
    (0x0600, 0x0605),
    (0x061C, 0x061C),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0x2800, 0x2800),
    (0x3164, 0x3164),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0xFFFD, 0xFFFD),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1343F),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
    (0xF0000, 0xFFFFF),
    (0x0010_0000, 0x0010_FFFF),
];

/// What a name is compared by: trimmed, NFKC, lower case. NUL, which no name has and no database
/// holds, becomes U+FFFD, which no name has either.
///
/// ```text
/// " Ａlice "  → "alice"
/// "ÉMILE"     → "émile"
/// ```
pub fn name_key(text: &str) -> String {
    // Lower case may take a composition apart again, hence twice.
    let lower: String = text.trim().nfkc().flat_map(char::to_lowercase).collect();
    lower.nfkc().map(|character| if character == '\0' { '\u{FFFD}' } else { character }).collect()
}

/// The keys of an account.
pub fn keys_of(user: &User) -> NameKeys {
    NameKeys { username: name_key(&user.username), email: user.email.as_deref().map(name_key) }
}

/// A username as it is kept: 1 to 255 visible characters without white space.
pub fn username(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let fits = |text: &str| (1..=MOST_CHARACTERS).contains(&text.chars().count()) && !text.chars().any(is_unfit);
    if fits(text) && fits(&name_key(text)) {
        return Ok(text.to_owned());
    }
    Err("must be 1 to 255 visible characters without spaces")
}

/// An email address as it is kept: one `@` with something on both sides, at most 254 bytes. Whether
/// it exists, only a letter to it could tell.
pub fn email(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    let fits = |text: &str| {
        text.len() <= MOST_EMAIL_BYTES
            && !text.chars().any(is_unfit)
            && text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && is_domain(domain))
    };
    if fits(text) && fits(&name_key(text)) {
        return Ok(text.to_owned());
    }
    Err("must be an email address of at most 254 bytes")
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-') && !label.starts_with('-')
    };
    text.split('.').all(label)
}

fn is_unfit(character: char) -> bool {
    let code = u32::from(character);
    let invisible = INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&code));
    invisible || character.is_control() || character.is_whitespace()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_stands_for_every_spelling() {
        for spelling in ["alice", "ALICE", " Alice\t", "Ａｌｉｃｅ", "ａLICE"] {
            assert_eq!(name_key(spelling), "alice", "{spelling:?}");
        }
        assert_eq!(name_key("E\u{301}mile"), name_key("ÉMILE"));
        assert_eq!(name_key("ﬁsh"), "fish");
        assert_eq!(name_key("a\0"), "a\u{fffd}");
        for text in ["İstanbul", "ǅ", "ẞ", "ΑΣ", "𝐀lice", "Å"] {
            assert_eq!(name_key(&name_key(text)), name_key(text), "{text:?}");
        }
    }

    #[test]
    fn usernames_are_visible_characters_without_spaces() {
        assert_eq!(username(" Alice "), Ok("Alice".to_owned()));
        for good in ["a", "alice@example.com", "李雷", "o'neil", &"x".repeat(255)] {
            assert!(username(good).is_ok(), "{good}");
        }
        let long = "x".repeat(256);
        for bad in
            ["", "  ", "a b", "a\u{a0}b", "a\u{0}", "a\u{200b}b", "\u{202e}ecila", "a\u{ad}", "a\u{fffd}", "¨", &long]
        {
            assert!(username(bad).is_err(), "{bad:?}");
        }
        // 18 characters stand behind this one.
        assert!(username(&"\u{fdfa}".repeat(20)).is_err());
    }

    #[test]
    fn emails_have_one_at_and_a_domain() {
        for good in ["a@b", "Alice.B+x@Example.COM", "jörg@bücher.example"] {
            assert!(email(good).is_ok(), "{good}");
        }
        let long = format!("a@{}.example", "x".repeat(250));
        for bad in
            ["", "a", "@b", "a@", "a@b@c", "a＠b@c", "a b@c", "a@b..c", "a@.b", "a@-b", "a@b\u{0}", "a@b/c", &long]
        {
            assert!(email(bad).is_err(), "{bad:?}");
        }
    }
}
