//! Query parameters: each at most once, and none that the call does not know, because whoever sends one
//! counts on it.

use std::collections::HashSet;

use url::form_urlencoded;

use crate::domain::{Refusal, RefusalKind};
use crate::edge::Received;

/// No call knows as many.
const MAX_PARAMETERS: usize = 100;

/// The parameters of a call while they are taken out.
#[derive(Debug)]
pub struct Query {
    sent: Vec<(String, String)>,
}

impl Query {
    pub fn of(received: &Received) -> Result<Self, Refusal> {
        Self::parse(received.request.query_string())
    }

    fn parse(text: &str) -> Result<Self, Refusal> {
        let sent: Vec<(String, String)> =
            form_urlencoded::parse(text.as_bytes()).into_owned().take(MAX_PARAMETERS + 1).collect();
        if sent.len() > MAX_PARAMETERS {
            return Err(Refusal::malformed("There are too many query parameters."));
        }
        let mut names = HashSet::with_capacity(sent.len());
        if !sent.iter().all(|(name, _)| names.insert(name.as_str())) {
            return Err(Refusal::malformed("A query parameter is sent twice."));
        }
        if sent.iter().any(|(_, value)| value.contains('\0')) {
            return Err(Refusal::malformed("A query parameter holds a NUL."));
        }
        Ok(Self { sent })
    }

    /// As it was sent; empty counts as sent.
    pub fn text(&self, name: &'static str) -> Option<&str> {
        self.sent.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &'static str) -> Result<Option<bool>, Refusal> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    /// What `read` makes of it; `must` says what would be readable.
    pub fn read<T>(
        &self,
        name: &'static str,
        must: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => read(text).map(Some).ok_or_else(|| wrong(name, must)),
        }
    }

    /// Refuses every parameter but these.
    pub fn only(&self, known: &[String]) -> Result<(), Refusal> {
        if self.sent.iter().all(|(name, _)| known.contains(name)) {
            return Ok(());
        }
        let hint = match known {
            [] => "This call takes no query parameter.".to_owned(),
            names => format!("A query parameter is not known here. There are: {}.", names.join(", ")),
        };
        Err(Refusal::with_hint(RefusalKind::MalformedRequest, hint))
    }
}

fn wrong(name: &'static str, must: &'static str) -> Refusal {
    Refusal::with_hint(RefusalKind::MalformedRequest, format!("{name} {must}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_refused_with_what_there_is() {
        let query = Query::parse("enabled=true&q=a%20b").unwrap();
        assert_eq!((query.flag("enabled").unwrap(), query.text("q"), query.text("x")), (Some(true), Some("a b"), None));
        let only = |known: &[&str]| query.only(&known.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(only(&["q", "sort", "enabled"]), Ok(()));
        assert_eq!(only(&["enabled"]).unwrap_err().hint, "A query parameter is not known here. There are: enabled.");
        assert_eq!(only(&[]).unwrap_err().hint, "This call takes no query parameter.");
    }

    #[test]
    fn names_are_looked_at_once_and_no_more_of_them_than_any_call_has() {
        let query = |names: usize| (0..names).map(|name| format!("{name}=1")).collect::<Vec<_>>().join("&");
        assert!(Query::parse(&query(MAX_PARAMETERS)).is_ok());
        for names in [MAX_PARAMETERS + 1, 10_000] {
            assert_eq!(Query::parse(&query(names)).unwrap_err().hint, "There are too many query parameters.");
        }
    }

    #[test]
    fn twice_nul_and_unreadable_are_refused() {
        for bad in ["a=1&a=1", "a=%00"] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Query::parse("a=1").unwrap().flag("a").unwrap_err().hint, "a must be true or false.");
        let number = |text: &str| text.parse::<u8>().ok();
        assert_eq!(Query::parse("a=7").unwrap().read("a", "must be small", number), Ok(Some(7)));
        assert!(Query::parse("a=x").unwrap().read("a", "must be small", number).is_err());
    }
}
