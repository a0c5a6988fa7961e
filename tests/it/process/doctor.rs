//! What `grantd doctor` finds: each thing that can be wrong, and nothing where it is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::databases::Kind;
use crate::support::process::{Home, Installed, on_each};

/// The level of what it says with these words, and whether the command ends well; people are told the same.
#[track_caller]
fn found(home: &Home, words: &[&str]) -> (Option<String>, bool) {
    let ran = home.run(&["doctor", "--json"]);
    let said: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let items = said["items"].as_array().unwrap();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    let item = items.iter().find(|item| words.iter().all(|word| text(item, "finding").contains(word)));
    let people = home.run(&["doctor"]);
    assert_eq!(people.status.code(), ran.status.code());
    for item in items {
        // A clock goes on between the two.
        let (level, finding) = (text(item, "level"), text(item, "finding"));
        let begins = format!("{level:5}  {}", finding.split(" differs from").next().unwrap_or_default());
        assert!(people.stdout.lines().any(|own| own.starts_with(&begins)), "no {begins} in {people:?}");
    }
    let is_well = items.iter().all(|item| item["level"] != "WRONG");
    assert_eq!((ran.status.code(), is_well), (Some(i32::from(!is_well)), is_well), "{ran:?}");
    (item.map(|item| text(item, "level")), is_well)
}

fn is(level: &str, is_well: bool) -> (Option<String>, bool) {
    (Some(level.to_owned()), is_well)
}

on_each! {
    fn a_rotation_that_is_late_is_wrong(home: Installed) {
        assert_eq!(found(&home, &["every signing key is rotated in time"]), is("ok", true));
        home.execute("UPDATE signing_keys SET rotate_at = 1 WHERE alg = 'RS256'");
        let kid = home.json(&["keys", "list"])["items"].as_array().unwrap().iter().find(|key| key["alg"] == "RS256").unwrap()["kid"].clone();
        let named = format!("default RS256 {}", kid.as_str().unwrap());
        assert_eq!(found(&home, &["rotation of signing keys is late", &named]), is("WRONG", false));
        assert_eq!(found(&home, &["every signing key is rotated in time"]).0, None);
    }

    fn a_data_key_of_two_years_is_worth_a_word(home: Installed) {
        assert_eq!(found(&home, &["data key is"]), (None, true));
        home.execute("UPDATE data_keys SET active_at = active_at - 731 * 86400 WHERE purpose = 'pepper'");
        assert_eq!(found(&home, &["the pepper data key is 731 days old", "rotate-data-key pepper"]), is("note", true));
        assert_eq!(found(&home, &["the tokens data key"]).0, None);
    }

    fn every_client_with_the_password_grant_is_named(home: Installed) {
        home.json(&["provider", "create", "acme"]);
        home.json(&["client", "create", "--provider", "acme", "--client-id", "old", "--grant", "password"]);
        home.json(&["client", "create", "--provider", "acme", "--client-id", "off", "--grant", "password", "--enabled", "false"]);
        home.json(&["client", "create", "--provider", "acme", "--client-id", "new", "--grant", "client_credentials"]);
        assert_eq!(found(&home, &["client acme/old has the password grant (enabled)"]), is("note", true));
        assert_eq!(found(&home, &["client acme/off has the password grant (disabled)"]), is("note", true));
        assert_eq!(found(&home, &["acme/new"]), (None, true));
    }

    fn more_rows_of_an_issuer_than_are_judged_are_wrong(home: Installed) {
        home.json(&["trust", "create", "--issuer", "https://idp.example.com", "--accepted-audience", "a"]);
        let copies = |first: i32, last: i32| format!(
            "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) \
             INSERT INTO trusted_issuers (id, provider_id, issuer, purpose, rules, enabled, version, created_at, updated_at) \
             SELECT t.id || '-' || n.i, t.provider_id, t.issuer, t.purpose, t.rules, t.enabled, 1, 1, 1 \
             FROM trusted_issuers t, n WHERE length(t.id) = 36"
        );
        home.execute(&copies(1, 19));
        assert_eq!(found(&home, &["trusted issuers for"]), (None, true));
        home.execute(&copies(20, 20));
        assert_eq!(found(&home, &["provider default has 21 trusted issuers for https://idp.example.com", "judged by 20"]), is("WRONG", false));
    }

    fn secrets_that_can_be_read_on_the_way_are_wrong(home: Installed) {
        assert_eq!(found(&home, &["the public URL is http://localhost:4545"]), is("ok", true));
        let open = home.again().with("GRANTD_PUBLIC_URL", "http://id.example.com").with("GRANTD_ALLOW_HTTP", "true");
        assert_eq!(found(&open, &["http://id.example.com is plain http"]), is("WRONG", false));
        let shut = home.again().with("GRANTD_PUBLIC_URL", "https://id.example.com");
        assert_eq!(found(&shut, &["the public URL is https://id.example.com"]), is("ok", true));
        let none = home.again().without("GRANTD_PUBLIC_URL");
        assert_eq!(found(&none, &["http://localhost and the port that each start is given"]), is("note", true));
    }
}

#[test]
fn the_master_key_is_to_be_copied_where_only_a_file_has_it() {
    let home = Home::on(Kind::Sqlite).migrated();
    assert_eq!(found(&home, &["only copy of the master key", "data/master.key"]), is("note", true));
    let key = home.folder().join("data/master.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(found(&home, &["master.key can be read by others (mode 640)"]), is("WRONG", false));
    let home = Home::on(Kind::Postgres).migrated();
    assert_eq!(found(&home, &["the master key comes from the configuration"]), is("ok", true));
    assert_eq!(found(&home, &["only copy"]).0, None);
}

#[test]
fn a_clock_that_differs_from_the_databases_is_wrong() {
    let home = Home::on(Kind::Postgres).migrated();
    assert_eq!(found(&home, &["the clock agrees with the database's"]), is("ok", true));
    // Found before the one of PostgreSQL, in this database.
    home.execute(
        "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS \
         $$ SELECT pg_catalog.clock_timestamp() + interval '90 seconds' $$",
    );
    let database = home.database();
    database.postgres_admin(&format!("ALTER DATABASE {} SET search_path = public, pg_catalog", database.database()));
    assert_eq!(found(&home, &["this machine's clock differs from the database's by"]), is("WRONG", false));
}

#[test]
fn a_role_behind_a_pooler_without_time_outs_is_wrong() {
    let home = Home::on(Kind::Postgres).migrated();
    // The URL of a direct connection brings them.
    assert_eq!(found(&home, &["_timeout is 0"]), (None, true));
    let home = home.with("GRANTD_DATABASE__POOLED", "true");
    assert_eq!(found(&home, &["idle_in_transaction_session_timeout is 0", "ALTER ROLE"]), is("WRONG", false));
    assert_eq!(found(&home, &["statement_timeout is 0", "ALTER ROLE"]), is("WRONG", false));
    let database = home.database();
    for setting in ["statement_timeout", "idle_in_transaction_session_timeout"] {
        // As a role has it, but for this test alone.
        database.postgres_admin(&format!("ALTER DATABASE {} SET {setting} = '5s'", database.database()));
    }
    assert_eq!(found(&home, &["_timeout is 0"]), (None, true));
}

#[test]
fn a_client_on_the_last_page_is_named_too() {
    let home = Home::on(Kind::Sqlite).migrated();
    home.json(&["provider", "create", "acme"]);
    let clients: Vec<Value> = (0..501)
        .map(|number| {
            let grant = if number == 500 { "password" } else { "client_credentials" };
            json!({"client_id": format!("c{number:03}"), "grant_types": [grant]})
        })
        .collect();
    let text = json!({"version": 1, "providers": [{"slug": "acme", "clients": clients}]});
    fs::write(home.folder().join("many.json"), text.to_string()).unwrap();
    let ran = home.run(&["apply", "-f", "many.json", "--yes", "--secrets-file", "secrets"]);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(found(&home, &["client acme/c500 has the password grant"]), is("note", true));
}
