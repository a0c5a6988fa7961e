//! `application/x-www-form-urlencoded` bodies, with the rules of RFC 6749 §3.2 and appendix B: a
//! parameter stands once, an empty one counts as absent, an unknown one is ignored.

use std::borrow::Cow;
use std::collections::HashSet;

use url::form_urlencoded;

use crate::domain::Refusal;
use crate::edge::Call;

/// Parameters that RFC 8707 §2 lets stand several times.
const REPEATABLE: [&str; 2] = ["resource", "audience"];
/// No endpoint knows as many.
const MAX_PARAMETERS: usize = 100;
const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

#[derive(Debug)]
pub struct Form<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Form<'a> {
    /// Reads the body of a standard endpoint; any other media type is refused.
    pub fn of(call: &Call<'a>) -> Result<Self, Refusal> {
        if call.media_type().as_deref() != Some(MEDIA_TYPE) {
            return Err(Refusal::malformed("The body must be application/x-www-form-urlencoded."));
        }
        Self::parse(call.body)
    }

    pub fn parse(body: &'a [u8]) -> Result<Self, Refusal> {
        let pairs: Vec<(Cow<'a, str>, Cow<'a, str>)> = form_urlencoded::parse(body).take(MAX_PARAMETERS + 1).collect();
        if pairs.len() > MAX_PARAMETERS {
            return Err(Refusal::malformed("There are too many parameters."));
        }
        let mut names = HashSet::with_capacity(pairs.len());
        for (name, value) in &pairs {
            let holds = |character: char| name.contains(character) || value.contains(character);
            // What is not UTF-8 has become U+FFFD here: two different secrets must not look alike.
            if holds('\u{FFFD}') {
                return Err(Refusal::malformed("A parameter is not valid UTF-8."));
            }
            // No text for a database.
            if holds('\0') {
                return Err(Refusal::malformed("A parameter holds a NUL."));
            }
            if !names.insert(name.as_ref()) && !REPEATABLE.contains(&name.as_ref()) {
                return Err(Refusal::malformed("A parameter stands more than once."));
            }
        }
        Ok(Self { pairs })
    }

    /// Parameters that came in another form, each at most once.
    pub fn of_texts(texts: Vec<(&'a str, String)>) -> Self {
        Self { pairs: texts.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }

    /// The value of a parameter; `None` when absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(own, value)| own == name && !value.is_empty()).map(|(_, value)| value.as_ref())
    }

    /// Every non-empty value of a repeatable parameter.
    pub fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s str> {
        self.pairs.iter().filter(move |(own, value)| own == name && !value.is_empty()).map(|(_, value)| value.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_parameter_counts_as_absent_and_an_unknown_one_is_ignored() {
        let form = Form::parse(b"grant_type=client_credentials&scope=&x=1").unwrap();
        assert_eq!(form.get("grant_type"), Some("client_credentials"));
        assert_eq!(form.get("scope"), None);
    }

    #[test]
    fn a_repeated_parameter_is_refused_but_resource_may_repeat() {
        assert!(Form::parse(b"scope=a&scope=a").is_err());
        assert!(Form::parse(b"x=a&x=b").is_err());
        let form = Form::parse(b"resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb").unwrap();
        assert_eq!(form.all("resource").collect::<Vec<_>>(), ["https://a", "https://b"]);
    }

    #[test]
    fn bytes_that_are_no_text_are_refused_for_what_they_are() {
        let hint = |body: &[u8]| Form::parse(body).unwrap_err().hint;
        for bad in [&b"client_secret=%FF"[..], b"%FF=x"] {
            assert_eq!(hint(bad), "A parameter is not valid UTF-8.");
        }
        for bad in [&b"client_secret=a%00"[..], b"%00=x", b"x=\0"] {
            assert_eq!(hint(bad), "A parameter holds a NUL.");
        }
    }
}
