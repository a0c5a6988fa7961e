//! How PostgreSQL is reached: time-outs in the connection string, no server that forgets what it
//! acknowledged, and no password in an error.

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::domain::Fault;
use crate::domain::hidden::percent_decoded;
use crate::store::connection::{Conn, ConnectError};

/// Set by the server process itself at its start, so that no round trip is spent on them and a
/// reused connection cannot lose them. Milliseconds.
const SERVER_TIMEOUTS: &str = "-c statement_timeout=5000 -c lock_timeout=5000 \
     -c idle_in_transaction_session_timeout=5000 -c default_transaction_isolation=read\\ committed";

/// A password that was not encoded is split at the wrong place, and libpq would name its pieces as
/// host or port.
const UNREADABLE: &str =
    "the database URL cannot be read; characters such as @ : / ? # in a password must be percent-encoded";

/// The URL with what it does not say itself added: time-outs and our name. `pooled` leaves
/// `options` out, because PgBouncer refuses a start-up parameter it does not know.
pub(in crate::store) fn connection_string(url: &str, pooled: bool) -> Result<String, ConnectError> {
    if !cfg!(feature = "postgres-tls")
        && matches!(parameter(url, "sslmode"), Some("require" | "verify-ca" | "verify-full"))
    {
        return Err(ConnectError(
            "the database URL asks for TLS, and this grantd is built without it: build with --features postgres-tls, \
             as the container image is"
                .to_owned(),
        ));
    }
    let authority = authority(url);
    let ats = url.split('?').next().map_or(0, |address| address.matches('@').count());
    if ats != authority.matches('@').count() || ats > 1 {
        return Err(ConnectError(UNREADABLE.to_owned()));
    }
    let mut text = url.to_owned();
    let mut separator = if url.contains('?') { '&' } else { '?' };
    let mut add = |name: &str, value: &str| {
        if parameter(url, name).is_none() {
            text.push(separator);
            separator = '&';
            text.push_str(name);
            text.push('=');
            text.push_str(&percent_encoded(value));
        }
    };
    add("connect_timeout", "5");
    add("tcp_user_timeout", "5000");
    // A host that is gone is noticed within 20 s, while nothing is sent to it too.
    add("keepalives_idle", "10");
    add("keepalives_interval", "3");
    add("keepalives_count", "3");
    add("application_name", "grantd");
    if !pooled {
        add("options", SERVER_TIMEOUTS);
    }
    Ok(text)
}

/// Connects, and refuses a server that answers before the commit is on disk.
pub(in crate::store) fn open(text: &str) -> Result<PgConnection, ConnectError> {
    let mut conn = PgConnection::establish(text).map_err(|error| {
        ConnectError(format!("cannot connect to PostgreSQL: {}", scrubbed(&error.to_string(), text)))
    })?;
    let asked =
        diesel::dsl::sql::<(Text, Text)>("SELECT current_setting('synchronous_commit'), current_setting('fsync')");
    let (synchronous_commit, fsync): (String, String) = asked
        .get_result(&mut conn)
        .map_err(|error| ConnectError(format!("PostgreSQL does not tell how durable it is: {error}")))?;
    for (name, value) in [("synchronous_commit", synchronous_commit), ("fsync", fsync)] {
        if value == "off" {
            return Err(ConnectError(format!(
                "PostgreSQL runs with {name} = off: what was answered could be lost at a power cut. Turn it on for \
                 this database"
            )));
        }
    }
    Ok(conn)
}

/// The time-outs that free the locks of a node which is gone: of a statement, and of a transaction that
/// stands idle. `None` on SQLite. Through a pooler they come from the role.
pub fn server_timeouts(conn: &mut Conn) -> Result<Option<(String, String)>, Fault> {
    let Conn::Postgres(conn) = conn else { return Ok(None) };
    let asked = diesel::dsl::sql::<(Text, Text)>(
        "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')",
    );
    Ok(Some(asked.get_result(conn)?))
}

/// `user:password@host:port` of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

/// The value of a query parameter of the URL as it stands there.
fn parameter<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn percent_encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// libpq quotes parts of a connection string that it cannot read. Takes the string and every
/// password in it out of its message.
fn scrubbed(message: &str, text: &str) -> String {
    let mut out = message.replace(text, "<database URL>");
    let userinfo = authority(text).rsplit_once('@').map(|(userinfo, _)| userinfo);
    let secrets = [
        userinfo.and_then(|userinfo| userinfo.split_once(':')).map(|(_, password)| password),
        parameter(text, "password"),
        parameter(text, "sslpassword"),
    ];
    for secret in secrets.into_iter().flatten().filter(|secret| !secret.is_empty()) {
        let spelled_out = percent_decoded(secret);
        out = out.replace(secret, "***").replace(&*String::from_utf8_lossy(&spelled_out), "***");
    }
    // The words of libpq's parser, which quotes what it stumbled over.
    if ["invalid", "unexpected character", "missing", "end of string"].iter().any(|word| out.contains(word)) {
        return UNREADABLE.to_owned();
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_outs_are_added_unless_the_url_has_its_own() {
        let text = connection_string("postgres://u@h/db?connect_timeout=9", false).unwrap();
        assert!(text.starts_with("postgres://u@h/db?connect_timeout=9&tcp_user_timeout=5000&"), "{text}");
        assert!(text.contains("options=-c%20statement_timeout%3D5000"), "{text}");
        assert_eq!(text.matches("connect_timeout").count(), 1);
        assert!(text.contains("&keepalives_idle=10&keepalives_interval=3&keepalives_count=3&"), "{text}");
        let behind_a_pooler = connection_string("postgres://u@h/db", true).unwrap();
        assert!(!behind_a_pooler.contains("options="), "{behind_a_pooler}");
    }

    #[test]
    fn tls_without_the_feature_is_refused_with_a_sentence() {
        let answer = connection_string("postgres://h/db?sslmode=require", false);
        if cfg!(feature = "postgres-tls") {
            assert!(answer.is_ok());
        } else {
            assert!(answer.unwrap_err().to_string().contains("--features postgres-tls"));
        }
        assert!(connection_string("postgres://h/db?sslmode=prefer", false).is_ok());
    }

    #[test]
    fn no_message_shows_the_password() {
        let text = "postgres://grantd:s3%40cret@h/db?password=other";
        let message = format!("could not open {text}: s3@cret s3%40cret other");
        assert_eq!(scrubbed(&message, text), "could not open <database URL>: *** *** ***");
        for url in ["postgres://u:pa%zzword@h/db", "postgres://u:pa[ss:wo@rd@h:x/db", "postgres://u:pa$s/word@h:y/db"] {
            let error = connection_string(url, false).and_then(|text| open(&text)).map(drop).unwrap_err().to_string();
            for piece in ["pa%zz", "zzword", "pa[ss", "rd@", "pa$s", "word@"] {
                assert!(!error.contains(piece), "{url}: {error}");
            }
        }
    }
}
