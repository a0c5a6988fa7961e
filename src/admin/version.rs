//! `ETag` and `If-Match` (RFC 9110 §13.1.1): the row's version in quotes.

use actix_web::http::header::{self, HeaderMap};

use crate::domain::Refusal;
use crate::engine::manage::Expected;

pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The versions that `If-Match` names, of which one must be the current one; `None` without the header
/// or for `*`. A tag that we never gave out matches nothing. A weak one counts as ours: proxies that compress
/// weaken it on the way (§8.8.3.3), and what it names is a version and no representation.
pub fn expected(headers: &HeaderMap) -> Result<Expected, Refusal> {
    let mut versions = None;
    for line in headers.get_all(header::IF_MATCH) {
        let text = line.to_str().map_err(|_| Refusal::malformed("If-Match cannot be read."))?;
        let tags = text.split(',').map(str::trim);
        if text.trim() == "*" {
            return Ok(None);
        }
        versions.get_or_insert_with(Vec::new).extend(tags.filter_map(version_of));
    }
    Ok(versions)
}

/// As [`etag`] writes it, and in no other spelling.
fn version_of(tag: &str) -> Option<i64> {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let version = tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()?;
    (etag(version) == tag).then_some(version)
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
        assert_eq!(sent(&etag(7)), Some(vec![7]));
        assert_eq!(sent("*"), None);
        for foreign in
            ["\"abc\"", "7", "w/\"7\"", "W/W/\"7\"", "\"+7\"", "\"07\"", "\" 7\"", "\"", "", ",", "\"7", "\"a,7\""]
        {
            assert_eq!(sent(foreign), Some(vec![]), "{foreign}");
        }
        assert_eq!(sent("\"7\", W/\"8\",\"x\" , \"9\""), Some(vec![7, 8, 9]));
        assert_eq!(expected(&HeaderMap::new()).unwrap(), None);
    }
}
