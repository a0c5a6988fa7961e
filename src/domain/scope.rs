//! Scope: a set of space-separated tokens (RFC 6749 §3.3), and the names that are built in.

use std::fmt;

/// A set of scope tokens, kept as the one string that goes to the wire: each token once, in the
/// order in which it was first named. One string, so that a cached client stays small.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ScopeSet(Box<str>);

/// Why a text is not a scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a scope holds tokens of printable ASCII without space, \" and \\, 1 to 256 characters each, at most 200 \
     of them and 4096 characters in all"
)]
pub struct MalformedScope;

/// What exists at every provider without being created: the OpenID Connect scopes, our own
/// reserved namespace `grantd:`, and those of the surfaces.
pub const BUILT_IN: [&str; 7] =
    ["openid", "profile", "email", "offline_access", "usage:write", "all:read", "all:write"];

const MAX_TOKEN: usize = 256;
/// Bounds that keep a token small enough to be sent in a header, and reading a scope cheap.
const MAX_TOKENS: usize = 200;
const MAX_JOINED: usize = 4096;

impl ScopeSet {
    /// Reads `a b  a` as `{a, b}`. The empty text is the empty set.
    pub fn parse(text: &str) -> Result<Self, MalformedScope> {
        Self::of(text.split(' ').filter(|token| !token.is_empty()))
    }

    /// Builds a set of single tokens, as a JSON list on the wire carries them.
    pub fn of<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Result<Self, MalformedScope> {
        let mut unique: Vec<&str> = Vec::new();
        for token in tokens {
            if !is_scope_token(token) || unique.len() >= MAX_TOKENS {
                return Err(MalformedScope);
            }
            if !unique.contains(&token) {
                unique.push(token);
            }
        }
        let joined = unique.join(" ");
        if joined.len() > MAX_JOINED {
            return Err(MalformedScope);
        }
        Ok(Self(joined.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    pub fn contains(&self, token: &str) -> bool {
        self.iter().any(|own| own == token)
    }

    /// What of `self` stands in `other` too.
    #[must_use]
    pub fn within(&self, other: &ScopeSet) -> Self {
        self.only(|token| other.contains(token))
    }

    /// The tokens that `keep` is true for.
    #[must_use]
    pub fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let kept: Vec<&str> = self.iter().filter(|token| keep(token)).collect();
        Self(kept.join(" ").into())
    }

    /// The first token of `self` that `other` does not have, or `None` if `self` is a subset.
    pub fn first_outside<'a>(&'a self, other: &ScopeSet) -> Option<&'a str> {
        self.iter().find(|token| !other.contains(token))
    }
}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// Whether a name needs no row of its own: built in, or in the reserved namespace.
pub fn is_built_in(token: &str) -> bool {
    BUILT_IN.contains(&token) || token.starts_with("grantd:")
}

/// Whether a name speaks of a person's login, or of grantd itself. Letter case is not trusted to tell
/// them apart: whoever reads the token may not look at it.
pub fn is_of_login(token: &str) -> bool {
    let login = ["openid", "profile", "email", "phone", "address", "offline_access"];
    let of_grantd = token.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("grantd:"));
    of_grantd || login.iter().any(|name| token.eq_ignore_ascii_case(name))
}

/// RFC 6749 §3.3: `scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`.
fn is_scope_token(token: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    (1..=MAX_TOKEN).contains(&token.len()) && token.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_keeps_each_token_once_in_order() {
        let set = ScopeSet::parse("b  a b").unwrap();
        assert_eq!(set.as_str(), "b a");
        assert!(set.contains("a"));
        assert!(!set.contains(""));
        assert!(ScopeSet::parse("").unwrap().is_empty());
    }

    #[test]
    fn characters_outside_rfc_6749_are_refused() {
        for bad in ["a\"b", "a\\b", "a\tb", "ä", &"x".repeat(257)] {
            assert_eq!(ScopeSet::parse(bad), Err(MalformedScope), "{bad}");
        }
    }

    #[test]
    fn the_first_token_outside_is_named() {
        let client = ScopeSet::parse("read write").unwrap();
        assert_eq!(ScopeSet::parse("read").unwrap().first_outside(&client), None);
        assert_eq!(ScopeSet::parse("read admin").unwrap().first_outside(&client), Some("admin"));
    }
}
