//! What looks like a credential, in a text that is logged or shown: found wherever it stands, and left out.

use std::borrow::Cow;

/// How our credentials and tokens begin, and those of the webhooks, and JSON web tokens.
const STARTS: [&str; 8] = ["gk_", "gs_", "gr_", "gc_", "ga_", "gd_", "whsec_", "eyJ"];
/// Behind a start that begins a word, so many characters are a credential.
const SHORTEST: usize = 9;
/// A start within a word, as in `settings_`, is one only if so many characters follow, a capital among
/// them: in the 43 random ones of a secret there is always one.
const SHORTEST_WITHIN: usize = 24;
/// Random characters of a secret.
const RANDOM: usize = 43;
/// How often a text is decoded in search of a credential. A text that is encoded more often is left out whole.
const DEEPEST: usize = 5;

/// The text without what looks like a credential; `instead` stands in its place. Where no start occurs,
/// which is nearly always, the text is looked through once and nothing is copied.
pub fn without_credentials<'a>(text: &'a str, instead: &'a str) -> Cow<'a, str> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((at, end)) = first(rest.as_bytes()) {
        let (Some(before), Some(after)) = (rest.get(..at), rest.get(end..)) else { break };
        out.push_str(before);
        out.push_str(instead);
        rest = after;
    }
    if rest.len() == text.len() {
        return if is_spelled_otherwise(text) { Cow::Borrowed(instead) } else { Cow::Borrowed(text) };
    }
    out.push_str(rest);
    // What stands before a plain one counts too.
    if is_spelled_otherwise(&out) { Cow::Borrowed(instead) } else { Cow::Owned(out) }
}

/// Whether there is anything that [`without_credentials`] leaves out.
pub fn has_credential(text: &str) -> bool {
    first(text.as_bytes()).is_some() || is_spelled_otherwise(text)
}

/// Whether a credential appears once the text is percent-decoded, as `gs%5F` or `gs%255F`. Proxies and clients
/// encode a path again, so one decoding is not enough.
fn is_spelled_otherwise(text: &str) -> bool {
    if !text.contains('%') {
        return false;
    }
    let mut spelled = text.as_bytes().to_vec();
    for _ in 0..DEEPEST {
        let decoded = decoded_once(&spelled);
        if decoded.len() == spelled.len() {
            return false;
        }
        if first(&decoded).is_some() {
            return true;
        }
        spelled = decoded;
    }
    decoded_once(&spelled).len() < spelled.len()
}

/// Where the first one begins and ends.
fn first(text: &[u8]) -> Option<(usize, usize)> {
    // Every start ends with one of these two.
    let mut ends = text.iter().enumerate().filter(|(_, byte)| matches!(byte, b'_' | b'J'));
    ends.find_map(|(at, _)| credential_at(text, at))
}

/// Where a credential begins and ends whose start has its last character at `last`.
fn credential_at(text: &[u8], last: usize) -> Option<(usize, usize)> {
    let (until, body) = text.split_at_checked(last + 1)?;
    let start = STARTS.iter().find(|start| until.ends_with(start.as_bytes()))?;
    let at = until.len() - start.len();
    let is_base64 = start.starts_with("whsec");
    let length_of = |body: &[u8]| body.iter().take_while(|byte| is_of_body(**byte, is_base64)).count();
    let begins_a_word = at.checked_sub(1).and_then(|at| text.get(at)).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    // No more is looked at until it is one: a text full of starts costs no more than another.
    let window = body.get(..RANDOM).unwrap_or(body);
    let length = length_of(window);
    let is_one = match begins_a_word {
        true => length >= SHORTEST,
        false => length >= SHORTEST_WITHIN && window.iter().take(length).any(u8::is_ascii_uppercase),
    };
    is_one.then(|| (at, until.len() + length_of(body)))
}

/// The bytes of a text with every `%2D` as the byte that it spells; a `%` that spells none stays (RFC 3986 §2.1).
pub fn percent_decoded(text: &str) -> Vec<u8> {
    decoded_once(text.as_bytes())
}

fn decoded_once(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match after.first_chunk().filter(|_| *first == b'%').and_then(byte_of) {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// The byte that two hexadecimal digits spell.
fn byte_of([high, low]: &[u8; 2]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// What a credential is made of, and with which another spelling of it goes on (`%2D`). A slash parts two of
/// them, except in the base64 of a webhook's secret.
fn is_of_body(byte: u8, is_base64: bool) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.+=~%".contains(&byte) || (is_base64 && byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "gs_4rDq0Zk1aB2cD3eF4gH5iJ6kL7mN8oP9qR0sT1uV2wX3yZ4a";

    #[test]
    fn a_credential_is_left_out_wherever_it_stands() {
        for (text, expected) in [
            ("gs_abcdefghijklmnop", "*"),
            ("read gk_abcdefghijklmnop", "read *"),
            ("https://a.example/?token=ga_abcdefghijklmnop&x=1", "https://a.example/?token=*&x=1"),
            ("eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "*"),
            ("\"gr_abcdefghijklmnop\"", "\"*\""),
            ("whsec_MfKQ9r8GKYq/rTwjU+a=", "*"),
            ("/clients/gs_abcdefghijklmnop/secrets", "/clients/*/secrets"),
            ("gs_abcdefghijklmnop gc_abcdefghijklmnop", "* *"),
            ("ä-gs_abcdefghijklmnop\u{e4}", "ä-*ä"),
        ] {
            assert_eq!(without_credentials(text, "*"), expected, "{text}");
            assert!(has_credential(text), "{text}");
        }
        for (before, after) in
            [("", ""), ("a-", ""), ("https://x.example/a-", "/b"), ("rid", ""), ("äx", "|"), ("1", "\n")]
        {
            let text = format!("{before}{SECRET}{after}");
            assert_eq!(without_credentials(&text, "*"), format!("{before}*{after}"), "{text}");
        }
    }

    #[test]
    fn a_start_that_is_spelled_otherwise_is_one() {
        for text in [SECRET.replace('_', "%5F"), format!("/x/{}?", SECRET.replace('s', "%73")), format!("%%{SECRET}%")]
        {
            assert!(has_credential(&text), "{text}");
            assert!(!without_credentials(&text, "*").contains(&SECRET[10..]), "{text}");
        }
        assert_eq!(without_credentials("a%20b%zz%5", "*"), "a%20b%zz%5");
    }

    /// Every byte as `%67`, in either case, so often.
    fn encoded(text: &str, times: usize) -> String {
        let mut text = text.to_owned();
        for time in 0..times {
            text = match time {
                0 => text.bytes().map(|byte| format!("%{byte:02x}")).collect(),
                _ => text.replace('%', "%25"),
            };
        }
        text
    }

    #[test]
    fn a_start_that_is_encoded_again_and_again_is_one() {
        for times in 1..40 {
            let text = format!("/admin/v1/clients/{}/x", encoded(SECRET, times));
            assert_eq!(without_credentials(&text, "*"), "*", "{times}");
            assert!(has_credential(&text), "{times}");
        }
        for text in [
            format!("/p/%2567s_{}", &SECRET[3..]),
            format!("/p/%25%36%37s%5f{}", &SECRET[3..]),
            format!("/p/gs%255F{}", &SECRET[3..]),
            format!("/p/gs%255f{}?a+b", &SECRET[3..]),
            format!("+{}", SECRET.replace('_', "%25255f")),
            // Before and behind one that stands there plainly.
            format!("a={}&b={SECRET}", SECRET.replace('_', "%5F")),
            format!("b={SECRET}&a={}", SECRET.replace('_', "%255F")),
        ] {
            assert_eq!(without_credentials(&text, "*"), "*", "{text}");
        }
        for plain in ["/a%252Fb", "100%25%2025", "/x%+5y", "%%%25", "/ä%C3%A4"] {
            assert_eq!(without_credentials(plain, "*"), plain);
        }
        assert_eq!(percent_decoded("%+5%4a%4A"), b"%+5JJ");
    }

    #[test]
    fn plain_words_stay() {
        for plain in [
            "",
            "orders:read",
            "https://api.example/",
            "eye",
            "ga_1",
            "gs_",
            "_",
            "J",
            "key",
            "eyes.read",
            "keyJars",
            "settings_administrator",
            "logs_of_the_whole_installation_everywhere",
            "/admin/v1/api-keys",
            "019a2f6e-3c40-7a01-8c2d-9e8f7a6b5c4d",
            "rid-of-somebody",
            "ägs_ä",
        ] {
            assert!(matches!(without_credentials(plain, "*"), Cow::Borrowed(same) if same == plain), "{plain}");
            assert!(!has_credential(plain), "{plain}");
        }
    }
}
