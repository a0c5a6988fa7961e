//! The judge of statements (`support::plans`) refuses what it must: planted faults, and an index that is gone.

use crate::support::databases::Kind;
use crate::support::plans::Plans;

const BOTH: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];

/// A statement of the store in the words of each database, found good while every index is there.
const GOOD: &str = "SELECT id FROM users WHERE provider_id = $1 AND username_key = $2 AND deleted_at IS NULL \
     UNION ALL SELECT id FROM users WHERE provider_id = $1 AND email_key = $2 AND deleted_at IS NULL";

#[test]
fn a_statement_is_refused_once_its_index_is_gone() {
    for kind in BOTH {
        let mut plans = Plans::new(kind);
        assert_eq!(plans.flaw(GOOD), None, "{kind:?}");
        for (index, text) in [
            (
                "refresh_families_expiry",
                "SELECT id FROM refresh_families WHERE ends_at <= $1 ORDER BY ends_at LIMIT 10",
            ),
            ("sessions_of_user", "SELECT id FROM sessions WHERE user_id = $1"),
            ("provider_issuers_by_spelling", "SELECT 1 FROM provider_issuers WHERE rtrim(lower(issuer), '/') IN ($1)"),
        ] {
            assert_eq!(plans.flaw(text), None, "{kind:?} {text}");
            plans.execute(&format!("DROP INDEX {index}"));
            assert!(plans.flaw(text).is_some(), "{kind:?} without {index}");
        }
    }
    let mut plans = Plans::new(Kind::Sqlite);
    plans.execute("DROP INDEX users_email");
    let flaw = plans.flaw(GOOD).unwrap();
    assert!(flaw.starts_with("SEARCH users USING"), "{flaw}");
}

#[test]
fn planted_faults_are_refused() {
    const BY_ONE_OF_TWO: &str = "SELECT id FROM users WHERE provider_id = $1 AND deleted_at IS NULL AND \
         (username_key = $2 OR email_key = $2) LIMIT 1";
    for (kind, text) in [
        (Kind::Sqlite, BY_ONE_OF_TWO),
        (Kind::Sqlite, "SELECT c.name FROM clients c WHERE c.provider_id = ? AND c.name = ? AND c.scope = ?"),
        (Kind::Sqlite, "UPDATE users SET name = ? WHERE provider_id = ? AND name = ?"),
        (Kind::Sqlite, "DELETE FROM sessions WHERE ended_at = ?"),
        (Kind::Sqlite, "SELECT count(*) FROM users"),
        (Kind::Postgres, "SELECT count(*) FROM users"),
        (Kind::Postgres, "DELETE FROM sessions WHERE ended_at = $1"),
        (Kind::Postgres, "SELECT id FROM events WHERE details > $1 ORDER BY details LIMIT 5"),
    ] {
        assert!(Plans::new(kind).flaw(text).is_some(), "{kind:?}: {text}");
    }
}

#[test]
fn look_ups_pages_and_sweeps_are_good() {
    for text in [
        "SELECT name FROM users WHERE id = $1 AND provider_id = $2 AND version = $3",
        "SELECT id FROM users WHERE provider_id = $1 AND id > $2 AND deleted_at IS NULL ORDER BY id LIMIT 51",
        "DELETE FROM revoked WHERE expires_at <= $1",
        "UPDATE users SET name = $1, email = $2 WHERE id = $3",
        "SELECT value FROM meta WHERE value = $1",
    ] {
        for kind in BOTH {
            assert_eq!(Plans::new(kind).flaw(text), None, "{kind:?}: {text}");
        }
    }
}
