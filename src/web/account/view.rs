//! A session as the account page shows it.

use time::OffsetDateTime;
use time::macros::format_description;

use crate::domain::authorize::AccountSession;

pub struct SessionView<'a> {
    pub id: &'a str,
    /// `Firefox, Linux`.
    pub browser: String,
    pub address: &'a str,
    pub since: Moment,
    pub seen: Moment,
    pub is_current: bool,
}

/// A time for machines (RFC 3339) and for people, both in UTC.
pub struct Moment {
    pub machine: String,
    pub shown: String,
}

impl<'a> SessionView<'a> {
    /// `unknown` stands for a browser that did not say what it is.
    pub fn of(session: &'a AccountSession, unknown: &str) -> Self {
        let AccountSession { id, user_agent, address, auth_time, seen_at, is_current } = session;
        let browser = described(user_agent).unwrap_or_else(|| unknown.to_owned());
        let (since, seen) = (Moment::of(*auth_time), Moment::of(*seen_at));
        Self { id, browser, address, since, seen, is_current: *is_current }
    }
}

impl Moment {
    /// Epoch seconds.
    fn of(seconds: i64) -> Self {
        let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let machine = at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z"));
        let shown = at.format(format_description!("[year]-[month]-[day] [hour]:[minute] UTC"));
        Self { machine: machine.unwrap_or_default(), shown: shown.unwrap_or_default() }
    }
}

/// Of a `User-Agent` what people recognise; of an unusual one its beginning. A browser also claims to
/// be those it descends from, so the order matters.
fn described(user_agent: &str) -> Option<String> {
    const BROWSERS: [(&str, &str); 8] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Macintosh", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let first = |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| user_agent.contains(mark)).map(|k| k.1);
    match (first(&BROWSERS), first(&SYSTEMS)) {
        (Some(browser), Some(system)) => Some(format!("{browser}, {system}")),
        (Some(only), None) => Some(only.to_owned()),
        _ => {
            let beginning: String = user_agent.trim().chars().take(60).collect();
            (!beginning.is_empty()).then_some(beginning)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_by_their_names() {
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)";
        let seen = |text: &str| described(text).unwrap_or_default();
        assert_eq!(seen(&format!("{windows} Chrome/140.0 Safari/537.36 Edg/140.0")), "Edge, Windows");
        assert_eq!(seen(&format!("{windows} Chrome/140.0 Safari/537.36")), "Chrome, Windows");
        assert_eq!(seen("Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"), "Firefox, Linux");
        let phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Safari/604";
        assert_eq!(seen(phone), "Safari, iPhone");
        assert_eq!(seen("curl/8.5"), "curl/8.5");
        assert_eq!(seen("  "), "");
    }

    #[test]
    fn times_are_utc() {
        let moment = Moment::of(1_800_000_000);
        assert_eq!((moment.machine.as_str(), moment.shown.as_str()), ("2027-01-15T08:00:00Z", "2027-01-15 08:00 UTC"));
    }
}
