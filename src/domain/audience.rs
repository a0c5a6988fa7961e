//! Audience: the resource servers a token is meant for (RFC 8707, RFC 9068 §3).

use std::fmt;

const MAX_VALUE: usize = 2048;
/// Bounds that keep a token small enough to be sent in a header, and reading a list cheap.
const MAX_VALUES: usize = 50;
const MAX_JOINED: usize = 4096;

/// A list of audience values in order, each once. Joined by spaces inside: a value holds none.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct AudienceSet(Box<str>);

/// Why a text is not an audience value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an audience is 1 to 2048 printable ASCII characters without space or fragment, at most 50 of \
     them and 4096 characters in all"
)]
pub struct MalformedAudience;

impl AudienceSet {
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, MalformedAudience> {
        let mut unique: Vec<&str> = Vec::new();
        for value in values {
            if !is_audience(value) || unique.len() >= MAX_VALUES {
                return Err(MalformedAudience);
            }
            if !unique.contains(&value) {
                unique.push(value);
            }
        }
        let joined = unique.join(" ");
        if joined.len() > MAX_JOINED {
            return Err(MalformedAudience);
        }
        Ok(Self(joined.into()))
    }

    /// Reads the joined form that [`AudienceSet::as_str`] gives.
    pub fn parse(text: &str) -> Result<Self, MalformedAudience> {
        Self::of(text.split(' ').filter(|value| !value.is_empty()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.iter().count()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|value| !value.is_empty())
    }

    pub fn first(&self) -> Option<&str> {
        self.iter().next()
    }

    pub fn contains(&self, value: &str) -> bool {
        self.iter().any(|own| own == value)
    }

    /// Whether at least one value stands in both.
    pub fn meets(&self, other: &AudienceSet) -> bool {
        self.iter().any(|own| other.contains(own))
    }
}

impl fmt::Debug for AudienceSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

fn is_audience(value: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'#' && byte != b'"' && byte != b'\\';
    (1..=MAX_VALUE).contains(&value.len()) && value.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_listed_once_and_compared_whole() {
        let own = AudienceSet::of(["https://a.example", "api", "api"]).unwrap();
        assert_eq!(own.len(), 2);
        assert_eq!(own.first(), Some("https://a.example"));
        assert!(own.contains("api") && !own.contains("ap"));
        assert!(own.meets(&AudienceSet::of(["x", "api"]).unwrap()));
        assert!(!own.meets(&AudienceSet::default()));
    }

    #[test]
    fn spaces_and_fragments_are_refused() {
        for bad in ["", "a b", "https://a.example/#x", "ä"] {
            assert_eq!(AudienceSet::of([bad]), Err(MalformedAudience), "{bad}");
        }
    }
}
