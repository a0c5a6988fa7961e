//! VocalStack's own spelling: everything stands in the query, an empty parameter counts as absent.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{Access, Refusal};
use crate::edge::form::Form;

/// Seconds.
const MAX_LIFETIME: f64 = 120.0;

#[derive(Debug, PartialEq, Eq)]
pub struct TokenQuery {
    pub access: Access,
    /// Seconds, 1 to 120; `None`: not named.
    pub lifetime: Option<i64>,
    pub one_time: bool,
}

impl TokenQuery {
    pub fn read(query: &str) -> Result<Self, Refusal> {
        let form = Form::parse(query.as_bytes())?;
        let access = match form.get("access") {
            None => Access::ReadOnly,
            Some(name) => {
                Access::from_name(name).ok_or_else(|| Refusal::malformed("access must be readonly or readwrite."))?
            }
        };
        let one_time = match form.get("one_time") {
            None | Some("true") => true,
            Some("false") => false,
            Some(_) => return Err(Refusal::malformed("one_time must be true or false.")),
        };
        let lifetime = form.get("lifetime_s").map(lifetime).transpose()?;
        Ok(Self { access, lifetime, one_time })
    }
}

/// A decimal number of seconds; a fraction is cut off.
fn lifetime(text: &str) -> Result<i64, Refusal> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: Option<f64> = if plain { text.parse().ok() } else { None };
    match number {
        #[expect(clippy::cast_possible_truncation, reason = "at most 120, and the fraction is meant to go")]
        Some(number) if (1.0..=MAX_LIFETIME).contains(&number) => Ok(number as i64),
        _ => Err(Refusal::malformed("lifetime_s must be a number of seconds from 1 to 120.")),
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VocalStackToken")]
pub struct TokenAnswer<'a> {
    pub status: &'static str,
    /// The token.
    pub data: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "VocalStackError")]
pub struct ErrorAnswer<'a> {
    pub status: &'static str,
    pub error: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_named_is_the_strictest() {
        let strictest = TokenQuery { access: Access::ReadOnly, lifetime: None, one_time: true };
        for query in ["", "access=&lifetime_s=&one_time=", "unknown=1"] {
            assert_eq!(TokenQuery::read(query), Ok(TokenQuery { ..strictest }), "{query}");
        }
        let widest = TokenQuery { access: Access::ReadWrite, lifetime: Some(120), one_time: false };
        assert_eq!(TokenQuery::read("access=readwrite&lifetime_s=120&one_time=false"), Ok(widest));
    }

    #[test]
    fn a_lifetime_is_1_to_120_seconds_without_its_fraction() {
        for (text, seconds) in [("1", 1), ("1.9", 1), ("60.0", 60), ("119.99", 119), ("120", 120), ("007", 7)] {
            assert_eq!(lifetime(text), Ok(seconds), "{text}");
        }
        for bad in ["0", "0.5", "0.99", "120.1", "121", "-1", "1e1", "inf", "NaN", ".", "1.2.3", "+1", " 1", "ten"] {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn other_values_and_repetitions_are_refused() {
        for bad in
            ["access=write", "access=READONLY", "one_time=0", "one_time=True", "access=readonly&access=readwrite"]
        {
            assert!(TokenQuery::read(bad).is_err(), "{bad}");
        }
    }
}
