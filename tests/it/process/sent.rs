//! What each command sends to a server: every flag, by its name in the API.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::support::databases::Kind;
use crate::support::origin::{Asked, Origin, Reply};
use crate::support::process::{Home, OWNER};

const USER: &str = "497f6eca-6276-4993-bfeb-53cbbbba6f08";

/// The words of a command, `~` for a space in one; what it asks for, `once` where that is sent with an
/// `Idempotency-Key`; the body.
type Row = (String, String, Value);

fn row(words: &str, asks: &str, body: Value) -> Row {
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    (words.replace("USER", USER), asks.replace("USER", USER), body)
}

fn with(mut body: Value, more: &Value) -> Value {
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn providers() -> Vec<Row> {
    let flags = "--name n --description d --default-audience a --signing-alg EdDSA --access-token-ttl 1 --max-ttl 2 --jwks-max-age 3 \
                 --key-rotation 4 --strict-scopes true --surface x --surface y --enabled false --data more";
    let body = json!({
        "name": "n", "description": "d", "default_audience": "a", "access_token_signing_alg": "EdDSA", "access_token_ttl": 1,
        "max_ttl": 2, "jwks_max_age": 3, "key_rotation": 4, "strict_scopes": true, "surfaces": ["x", "y"], "enabled": false, "more": 1,
    });
    vec![
        row(&format!("provider create p {flags}"), "POST /providers once", with(json!({"slug": "p"}), &body)),
        row("provider list", "GET /providers?limit=500", Value::Null),
        row("provider show p", "GET /providers/p", Value::Null),
        row(
            &format!("provider update p {flags} --unset logo_uri --unset max_ttl --if-match 7"),
            "PATCH /providers/p if 7",
            with(body, &json!({"logo_uri": null, "max_ttl": null})),
        ),
        row("provider delete p --if-match 7", "DELETE /providers/p if 7", Value::Null),
        row("provider delete p --cascade", "DELETE /providers/p?cascade=true", Value::Null),
        row("provider revoke-tokens p", "DELETE /providers/p/tokens", Value::Null),
    ]
}

fn clients() -> Vec<Row> {
    let flags = "--name n --grant a --grant b --scope a~b --scope c --audience a --audience b --auth-method none --auth-signing-alg ES256 \
                 --access-token-ttl 1 --access-token-format opaque --resource-server true --resource a --resource b --may-mint true \
                 --may-set-subject true --max-ttl 2 --redirect-uri a --redirect-uri b --post-logout-redirect-uri a \
                 --post-logout-redirect-uri b --backchannel-logout-uri a --application-type native --require-consent true \
                 --refresh-rotation late --refresh-grace 3 --refresh-grace-unused 4 --refresh-token-ttl 5 --refresh-token-max-ttl 6 \
                 --enabled false --data more --provider p";
    let mut body = json!({
        "client_name": "n", "grant_types": ["a", "b"], "scope": "a b c", "audience": ["a", "b"], "token_endpoint_auth_method": "none",
        "token_endpoint_auth_signing_alg": "ES256", "access_token_ttl": 1, "access_token_format": "opaque", "resource_server": true,
        "resources": ["a", "b"], "may_mint": true, "may_set_subject": true, "max_ttl": 2, "more": 1,
    });
    let people = json!({
        "redirect_uris": ["a", "b"],
        "post_logout_redirect_uris": ["a", "b"], "backchannel_logout_uri": "a", "application_type": "native", "require_consent": true,
        "refresh_rotation": "late", "refresh_grace": 3, "refresh_grace_unused": 4, "refresh_token_ttl": 5, "refresh_token_max_ttl": 6,
        "enabled": false,
    });
    body = with(body, &people);
    let made =
        json!({"client_id": "c", "subject": "s", "client_secret": "a secret", "jwks": {"keys": []}, "jwks_uri": null});
    let secrets = "/providers/p/clients/c/secrets";
    vec![
        row(
            &format!("client create --client-id c --subject s --secret-file secret --jwks jwks {flags}"),
            "POST /providers/p/clients once",
            with(made, &body),
        ),
        row("client list --provider p", "GET /providers/p/clients?limit=500", Value::Null),
        row("client show --provider p c", "GET /providers/p/clients/c", Value::Null),
        row(
            &format!("client update c --jwks-uri u {flags} --unset scope --if-match \"7\""),
            "PATCH /providers/p/clients/c if 7",
            with(body, &json!({"jwks": null, "jwks_uri": "u", "scope": null})),
        ),
        row(
            "client create --jwks-uri u",
            "POST /providers/default/clients once",
            json!({"jwks": null, "jwks_uri": "u"}),
        ),
        row(
            "client update c --jwks jwks",
            "PATCH /providers/default/clients/c",
            json!({"jwks": {"keys": []}, "jwks_uri": null}),
        ),
        row("client delete --provider p c --if-match 7", "DELETE /providers/p/clients/c if 7", Value::Null),
        row("client revoke-tokens --provider p c", "DELETE /providers/p/clients/c/tokens", Value::Null),
        row(
            "client mint --provider p c --ttl 1 --scope a~b --audience a --audience b --one-time true --access readonly --subject s --data more",
            "POST /providers/p/clients/c/tokens",
            json!({"ttl_seconds": 1, "scope": "a b", "audience": ["a", "b"], "one_time": true, "access": "readonly", "subject": "s", "more": 1}),
        ),
        row(
            "client secret create --provider p c --expires-at 2030-01-31T12:00:00Z",
            &format!("POST {secrets} once"),
            json!({"expires_at": "2030-01-31T12:00:00Z"}),
        ),
        row("client secret list --provider p c", &format!("GET {secrets}"), Value::Null),
        row("client secret show --provider p c i", &format!("GET {secrets}/i"), Value::Null),
        row(
            "client secret rotate --provider p c --overlap 0 --expires-at t",
            &format!("POST {secrets}/rotate once"),
            json!({"overlap_seconds": 0, "expires_at": "t"}),
        ),
        row("client secret revoke --provider p c i", &format!("DELETE {secrets}/i"), Value::Null),
    ]
}

fn people() -> Vec<Row> {
    let flags = "--email e --email-verified true --name n --group a --group b --role a --role b --enabled false --data more --provider p";
    let body = json!({
        "email": "e", "email_verified": true, "name": "n", "groups": ["a", "b"], "roles": ["a", "b"], "enabled": false, "more": 1,
    });
    let (users, user) = ("/providers/p/users", "/providers/p/users/USER");
    let mut rows = vec![
        row(
            &format!("user create u --password-file secret {flags}"),
            &format!("POST {users} once"),
            with(json!({"username": "u", "password": "a secret"}), &body),
        ),
        row(
            "user create u --password-hash-file secret",
            "POST /providers/default/users once",
            json!({"username": "u", "password_hash": "a secret"}),
        ),
        row(
            "user create u --password-stdin",
            "POST /providers/default/users once",
            json!({"username": "u", "password": ""}),
        ),
        row("user list --provider p", &format!("GET {users}?limit=500"), Value::Null),
        row("user show --provider p USER", &format!("GET {user}"), Value::Null),
        row(
            &format!("user update USER --username u {flags} --unset email --if-match 7"),
            &format!("PATCH {user} if 7"),
            with(json!({"username": "u"}), &with(body, &json!({"email": null}))),
        ),
        row("user delete --provider p USER --if-match 7", &format!("DELETE {user} if 7"), Value::Null),
        row("user lock --provider p USER", &format!("POST {user}/lock"), json!({})),
        row("user unlock --provider p USER", &format!("DELETE {user}/lock"), Value::Null),
    ];
    for (flag, body) in [
        ("--password-file secret", json!({"password": "a secret"})),
        ("--password-stdin", json!({"password": ""})),
        ("--password-hash-file secret", json!({"password_hash": "a secret"})),
        ("--clear", json!({"password": null})),
    ] {
        rows.push(row(&format!("user set-password --provider p USER {flag}"), &format!("POST {user}/password"), body));
    }
    for (noun, ends) in [("session", "end"), ("grant", "revoke")] {
        let all = format!("/providers/p/{noun}s");
        let of = "--provider p --user USER --client c";
        rows.push(row(&format!("{noun} list {of}"), &format!("GET {all}?user=USER&client=c&limit=500"), Value::Null));
        rows.push(row(&format!("{noun} {ends} {of}"), &format!("DELETE {all}?user=USER&client=c"), Value::Null));
        rows.push(row(&format!("{noun} {ends} --provider p i"), &format!("DELETE {all}/i"), Value::Null));
    }
    for noun in ["scope", "role", "group"] {
        let (flags, mut body) = ("--description d --data more --provider p", json!({"description": "d", "more": 1}));
        let roles = if noun == "group" { "--role a --role b" } else { "" };
        if noun == "group" {
            body["roles"] = json!(["a", "b"]);
        }
        let (all, one) = (format!("/providers/p/{noun}s"), format!("/providers/p/{noun}s/a%20b"));
        rows.extend([
            row(
                &format!("{noun} create a~b {flags} {roles}"),
                &format!("POST {all} once"),
                with(json!({"name": "a b"}), &body),
            ),
            row(&format!("{noun} list --provider p"), &format!("GET {all}?limit=500"), Value::Null),
            row(&format!("{noun} show --provider p a~b"), &format!("GET {one}"), Value::Null),
            row(
                &format!("{noun} update a~b {flags} {roles} --unset description --if-match 7"),
                &format!("PATCH {one} if 7"),
                with(body, &json!({"description": null})),
            ),
            row(&format!("{noun} delete --provider p a~b --if-match 7"), &format!("DELETE {one} if 7"), Value::Null),
        ]);
    }
    rows
}

fn keys() -> Vec<Row> {
    let flags = "--name n --role admin --scope a~b --audience a --audience b --max-ttl 1 --may-set-subject true --expires-at t --data more";
    let body = json!({
        "name": "n", "role": "admin", "scope": "a b", "audience": ["a", "b"], "max_ttl": 1, "may_set_subject": true, "expires_at": "t", "more": 1,
    });
    let secrets = "/api-keys/i/secrets";
    vec![
        row(
            &format!("api-key create --provider p {flags}"),
            "POST /api-keys once",
            with(json!({"provider": "p"}), &body),
        ),
        row("api-key list", "GET /api-keys?limit=500", Value::Null),
        row("api-key show i", "GET /api-keys/i", Value::Null),
        row(
            &format!("api-key update i {flags} --unset expires_at --if-match 7"),
            "PATCH /api-keys/i if 7",
            with(body, &json!({"expires_at": null})),
        ),
        row("api-key delete i --if-match 7", "DELETE /api-keys/i if 7", Value::Null),
        row("api-key revoke-tokens i", "DELETE /api-keys/i/tokens", Value::Null),
        row("api-key secret create i --expires-at t", &format!("POST {secrets} once"), json!({"expires_at": "t"})),
        row("api-key secret list i", &format!("GET {secrets}"), Value::Null),
        row("api-key secret show i s", &format!("GET {secrets}/s"), Value::Null),
        row(
            "api-key secret rotate i --overlap 9 --expires-at t",
            &format!("POST {secrets}/rotate once"),
            json!({"overlap_seconds": 9, "expires_at": "t"}),
        ),
        row("api-key secret revoke i s", &format!("DELETE {secrets}/s"), Value::Null),
        row("keys list --provider p", "GET /providers/p/signing-keys", Value::Null),
        row("keys show --provider p k", "GET /providers/p/signing-keys/k", Value::Null),
        row("keys rotate --provider p", "POST /providers/p/signing-keys/rotate", json!({})),
        row(
            "keys rotate --provider p --alg ES256 --emergency",
            "POST /providers/p/signing-keys/rotate",
            json!({"alg": "ES256", "emergency": true}),
        ),
        row("keys data-keys", "GET /data-keys", Value::Null),
        row("keys rotate-data-key tokens", "POST /data-keys/rotate", json!({"purpose": "tokens"})),
    ]
}

fn trust() -> Vec<Row> {
    let flags = "--issuer i --purpose validate --client a --client b --accepted-audience a --accepted-audience b --algorithm ES256 \
                 --algorithm EdDSA --subject-claim c --condition g~like~d-* --condition o~in~a,~b --token-type a --token-type b \
                 --require-jti true --max-age 1 --map-to client --provision jit --link-by-verified-email true --allow-refresh true \
                 --scope a~b --audience a --audience b --max-ttl 2 --fingerprint a --fingerprint b --enabled false --data more --provider p";
    let body = json!({
        "issuer": "i", "purpose": "validate", "clients": ["a", "b"], "audiences": ["a", "b"], "algorithms": ["ES256", "EdDSA"],
        "subject_claim": "c", "token_types": ["a", "b"], "require_jti": true, "max_age": 1, "map_to": "client", "provision": "jit",
        "conditions": [{"claim": "g", "operator": "like", "value": "d-*"}, {"claim": "o", "operator": "in", "value": ["a", "b"]}],
        "link_by_verified_email": true, "allow_refresh": true, "scope": "a b", "audience": ["a", "b"], "max_ttl": 2,
        "fingerprints": ["a", "b"], "enabled": false, "more": 1,
    });
    let (all, one) = ("/providers/p/trusted-issuers", "/providers/p/trusted-issuers/i");
    vec![
        row(
            &format!("trust create --jwks jwks {flags}"),
            &format!("POST {all} once"),
            with(json!({"jwks": {"keys": []}, "jwks_uri": null}), &body),
        ),
        row("trust list --provider p", &format!("GET {all}?limit=500"), Value::Null),
        row("trust show --provider p i", &format!("GET {one}"), Value::Null),
        row(
            &format!("trust update i --jwks-uri u {flags} --unset max_age --if-match 7"),
            &format!("PATCH {one} if 7"),
            with(body, &json!({"jwks": null, "jwks_uri": "u", "max_age": null})),
        ),
        row(
            "trust update --provider p i --discovery",
            &format!("PATCH {one}"),
            json!({"jwks": null, "jwks_uri": null}),
        ),
        row(
            "trust update --provider p i --jwks jwks",
            &format!("PATCH {one}"),
            json!({"jwks": {"keys": []}, "jwks_uri": null}),
        ),
        row(
            "trust create --discovery",
            "POST /providers/default/trusted-issuers once",
            json!({"jwks": null, "jwks_uri": null}),
        ),
        row(
            "trust create --jwks-uri u",
            "POST /providers/default/trusted-issuers once",
            json!({"jwks": null, "jwks_uri": "u"}),
        ),
        row("trust delete --provider p i --if-match 7", &format!("DELETE {one} if 7"), Value::Null),
        row(
            "trust test --provider p i --token-file secret --client c --token-type t",
            &format!("POST {one}/test"),
            json!({"token": "a secret", "client_id": "c", "token_type": "t"}),
        ),
        row("trust test --provider p --token-file secret", &format!("POST {all}/test"), json!({"token": "a secret"})),
    ]
}

fn others() -> Vec<Row> {
    let (domains, domain) = ("/providers/p/domains", "/providers/p/domains/i");
    let of = "--provider p --actor a --action client.* --target t --request-id r --since s --until u";
    let of_query = "provider=p&actor=a&action=client.*&target=t&request_id=r&since=s&until=u&limit=500";
    let hook = "--event a --event b --enabled false --data more";
    let hook_body = json!({"url": "u", "events": ["a", "b"], "enabled": false, "more": 1});
    vec![
        row("domain create --provider p d.example", &format!("POST {domains} once"), json!({"domain": "d.example"})),
        row("domain list --provider p", &format!("GET {domains}?limit=500"), Value::Null),
        row("domain show --provider p i", &format!("GET {domain}"), Value::Null),
        row("domain verify --provider p i", &format!("POST {domain}/verify"), json!({})),
        row(
            "domain update --provider p i --primary true --data more --unset x --if-match 7",
            &format!("PATCH {domain} if 7"),
            json!({"primary": true, "more": 1, "x": null}),
        ),
        row("domain delete --provider p i --if-match 7", &format!("DELETE {domain} if 7"), Value::Null),
        row(&format!("event list {of}"), &format!("GET /events?{of_query}"), Value::Null),
        row(&format!("event export {of}"), &format!("GET /events?{of_query}"), Value::Null),
        row("event show i", "GET /events/i", Value::Null),
        row(
            &format!("webhook create u --provider p {hook}"),
            "POST /webhooks once",
            with(json!({"provider": "p"}), &hook_body),
        ),
        row("webhook list", "GET /webhooks?limit=500", Value::Null),
        row("webhook show i", "GET /webhooks/i", Value::Null),
        row(
            &format!("webhook update i --url u {hook} --unset enabled --if-match 7"),
            "PATCH /webhooks/i if 7",
            with(hook_body, &json!({"enabled": null})),
        ),
        row("webhook delete i --if-match 7", "DELETE /webhooks/i if 7", Value::Null),
        row("webhook rotate-secret i --overlap 9", "POST /webhooks/i/rotate-secret", json!({"overlap_seconds": 9})),
        row("webhook test i", "POST /webhooks/i/test", json!({})),
        row("webhook deliveries i --state dead", "GET /webhooks/i/deliveries?state=dead&limit=500", Value::Null),
        row("webhook retry i d", "POST /webhooks/i/deliveries/d/retry", json!({})),
        row(
            "report secrets --unused-days 1 --expires-within-days 2 --provider p",
            "GET /reports/secrets?unused_days=1&expires_within_days=2&provider=p&limit=500",
            Value::Null,
        ),
        row("explain r", "GET /explain/r", Value::Null),
        row(
            "client list --limit 2 --sort -x --filter a=b --filter c=d=e --columns client_id",
            "GET /providers/default/clients?a=b&c=d%3De&sort=-x&limit=2",
            Value::Null,
        ),
        row("client list --all", "GET /providers/default/clients?limit=500", Value::Null),
        row("client create --dry-run", "POST /providers/default/clients?dry_run=true", json!({})),
        row("client delete c --dry-run", "DELETE /providers/default/clients/c?dry_run=true", Value::Null),
        row("api post x?y=z --data more --if-match 7", "POST /x?y=z if 7", json!({"more": 1})),
        row("api POST x --idempotency-key k", "POST /x once", Value::Null),
        row("api put /admin/v1/x", "PUT /x", Value::Null),
    ]
}

fn rows() -> Vec<Row> {
    [providers(), clients(), people(), keys(), trust(), others()].concat()
}

/// As the table writes it.
fn told(asked: &Asked) -> String {
    let path = asked.path.strip_prefix("/admin/v1").unwrap_or(&asked.path);
    let version = asked.header("if-match").map(|tag| format!(" if {}", tag.trim_matches('"'))).unwrap_or_default();
    let once = if asked.header("idempotency-key").is_some() { " once" } else { "" };
    format!("{} {path}{once}{version}", asked.method)
}

#[test]
fn every_flag_is_sent_by_its_name_in_the_api() {
    let origin = Origin::always(Reply::status(404));
    let desk = Home::bare(Kind::Sqlite).with("GRANTD_SERVER", &origin.base).with("GRANTD_KEY", OWNER);
    for (name, text) in [("more", "{\"more\": 1, \"name\": 0}"), ("jwks", "{\"keys\": []}"), ("secret", "a secret\n")] {
        fs::write(desk.folder().join(name), text).unwrap();
    }
    for (number, (words, asks, body)) in rows().into_iter().enumerate() {
        let words: Vec<String> = words.split(' ').map(|word| word.replace('~', " ")).collect();
        let ran = desk.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(ran.status.code(), Some(1), "{words:?}: {ran:?}");
        let asked = origin.asked();
        assert_eq!(asked.len(), number + 1, "{words:?}: {ran:?}");
        let asked = &asked[number];
        assert_eq!(told(asked), asks, "{words:?}");
        assert_eq!(asked.header("authorization"), Some(format!("Bearer {OWNER}").as_str()), "{words:?}");
        let sent = if asked.body.is_empty() { Value::Null } else { serde_json::from_str(&asked.body).unwrap() };
        // Flags go before what the file says.
        let body = if words.iter().any(|word| word == "more") { with(json!({"name": 0}), &body) } else { body };
        assert_eq!(sent, body, "{words:?}");
        assert_eq!(asked.header("content-type"), (!sent.is_null()).then_some("application/json"), "{words:?}");
    }
}

/// Names that stand at the beginning of lines below a heading of a help text.
fn listed(help: &str, heading: &str) -> Vec<String> {
    let below = help.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| !line.is_empty());
    let indented = below.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    indented.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn no_flag_of_a_command_is_left_out_of_the_table() {
    /// What all of them take, and what every list takes.
    const COMMON: [&str; 19] = [
        "--config",
        "--set",
        "--json",
        "--new-issuer",
        "--server",
        "--key-file",
        "--key",
        "--allow-http",
        "--timeout",
        "--local",
        "--dry-run",
        "--idempotency-key",
        "--help",
        "--version",
        "--limit",
        "--all",
        "--columns",
        "--sort",
        "--filter",
    ];
    // What works on this machine, and what makes calls of more than one kind: they have tests of their own.
    let elsewhere = [
        "serve",
        "migrate",
        "doctor",
        "config",
        "openapi",
        "healthcheck",
        "completions",
        "man",
        "export",
        "apply",
        "api",
    ];
    let mut flags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let home = Home::bare(Kind::Sqlite);
    let help = |path: &[String]| {
        let words: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        home.run(&words).stdout
    };
    let mut open: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(path) = open.pop() {
        let text = help(&path);
        let below = listed(&text, "Commands:");
        for name in below.iter().filter(|name| *name != "help" && !elsewhere.contains(&name.as_str())) {
            open.push([path.clone(), vec![name.clone()]].concat());
        }
        if below.is_empty() {
            let lines = text.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
            let named = lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
            let own = named.map(str::to_owned).filter(|flag| !COMMON.contains(&flag.as_str()));
            flags.insert(path.join(" "), own.collect());
        }
    }
    assert!(flags.len() > 60, "{flags:?}");
    let rows = rows();
    for (command, flags) in flags.iter().filter(|(command, _)| !matches!(command.as_str(), "keys rekey" | "keys reset"))
    {
        let own: Vec<&str> = rows
            .iter()
            .map(|row| row.0.as_str())
            .filter(|words| words.starts_with(&format!("{command} ")) || words == command)
            .collect();
        assert!(!own.is_empty(), "no row of {command}");
        for flag in flags {
            assert!(
                own.iter().any(|words| words.split(' ').any(|word| word == flag)),
                "no row of {command} has {flag}"
            );
        }
    }
}
