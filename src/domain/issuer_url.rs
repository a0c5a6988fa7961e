//! Issuers as texts that somebody typed: which of them mean the same server.

use url::Url;

/// How an issuer may stand in a row, in lower case and without a slash at the end: as it was given, as a
/// URL is written, and with the port that the scheme implies.
///
/// ```text
/// HTTPS://Login.Example:443/  → https://login.example:443, https://login.example, https://login.example:443
/// ```
pub fn spellings(issuer: &str) -> [String; 3] {
    let plain = |text: &str| text.to_ascii_lowercase().trim_end_matches('/').to_owned();
    let given = plain(issuer);
    let Ok(url) = Url::parse(issuer.trim()) else { return [given.clone(), given.clone(), given] };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return [given.clone(), given.clone(), given];
    };
    let with_port = plain(&format!("{}://{host}:{port}{}", url.scheme(), url.path()));
    [given, plain(url.as_str()), with_port]
}

/// Whether a typed issuer is `ours` or lies below it at `/p/`, by the same rule.
pub fn is_at_or_below(issuer: &str, ours: &str) -> bool {
    let [_, ours, _] = spellings(ours);
    spellings(issuer).iter().any(|text| *text == ours || text.starts_with(&format!("{ours}/p/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letter_case_a_slash_at_the_end_and_the_usual_port_make_no_other_issuer() {
        let ours = "https://id.example.com/auth";
        for same in [
            ours,
            "HTTPS://ID.example.com/auth",
            "https://id.example.com/auth/",
            "https://id.example.com:443/auth",
            "https://id.example.com/x/../auth",
            "https://id.example.com/auth/p/yet-to-come",
            "https://ID.EXAMPLE.COM:443/auth/p/a/",
        ] {
            assert!(is_at_or_below(same, ours), "{same}");
        }
        for other in [
            "http://id.example.com/auth",
            "https://id.example.com:8443/auth",
            "https://id.example.com/authx",
            "https://id.example.com.evil.example/auth",
            "urn:id",
            "",
        ] {
            assert!(!is_at_or_below(other, ours), "{other}");
        }
        let said = ["https://login.example:443", "https://login.example", "https://login.example:443"];
        assert_eq!(spellings("HTTPS://Login.Example:443/"), said);
    }
}
