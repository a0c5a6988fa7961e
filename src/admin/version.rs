//! `ETag` and `If-Match` (RFC 9110 §13.1.1): the row's version in quotes.

use actix_web::http::header::{self, HeaderMap};

use crate::domain::Refusal;
use crate::engine::manage::Expected;

pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The version that `If-Match` names; `None` without the header or for `*`. A tag that we never
/// gave out matches nothing, which is what a version below the first does.
pub fn expected(headers: &HeaderMap) -> Result<Expected, Refusal> {
    const NEVER: i64 = -1;
    let mut lines = headers.get_all(header::IF_MATCH);
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Refusal::malformed("More than one If-Match."));
    }
    let text = line.to_str().map_err(|_| Refusal::malformed("If-Match cannot be read."))?.trim();
    if text == "*" {
        return Ok(None);
    }
    // A weak tag never matches strongly (§8.8.3.2), but proxies that compress weaken ours.
    let quoted = text.strip_prefix("W/").unwrap_or(text);
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Ok(Some(inner.and_then(|version| version.parse().ok()).unwrap_or(NEVER)))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn sent(text: &str) -> Expected {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_MATCH, HeaderValue::from_str(text).unwrap());
        expected(&headers).unwrap()
    }

    #[test]
    fn our_own_tags_read_back_and_foreign_ones_match_nothing() {
        assert_eq!(sent(&etag(7)), Some(7));
        assert_eq!(sent("W/\"7\""), Some(7));
        assert_eq!(sent("*"), None);
        assert_eq!(sent("\"abc\""), Some(-1));
        assert_eq!(sent("7"), Some(-1));
        assert_eq!(expected(&HeaderMap::new()).unwrap(), None);
    }
}
