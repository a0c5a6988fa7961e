//! `grantd trust …` beside a running server: what the command line makes, the server believes.

use grantd::domain::Wall;
use grantd::domain::clock::SystemWall;
use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::jose::Signer;
use crate::support::process::{Home, on_each};

const ROWS: &str = "/providers/default/trusted-issuers";

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

on_each! {
    fn an_issuer_is_trusted_shown_changed_tested_and_forgotten(home: Home) {
        let server = home.serve();
        let api = Api::of(&home, &server);
        let (client, _) = api.new_client(&json!({}));
        let signer = Signer::es256();
        let file = |name: &str, content: &str| {
            let path = home.folder().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let jwks = file("jwks.json", &json!({"keys": [signer.jwk("k1")]}).to_string());
        let made = home.json(&[
            "trust", "create", "--issuer", "https://idp.example.com", "--accepted-audience", "https://grantd.example", "--client", &client,
            "--jwks", &jwks, "--condition", "groups like dev-*", "--condition", "org in acme, globex", "--map-to", "user", "--provision", "jit",
            "--max-ttl", "60", "--scope", "a b",
        ]);
        let id = text(&made, "id").to_owned();
        let path = format!("{ROWS}/{id}");
        assert_eq!(made, api.get(&path).expect(200).json());
        let conditions = json!([{"claim": "groups", "operator": "like", "value": "dev-*"}, {"claim": "org", "operator": "in", "value": ["acme", "globex"]}]);
        assert_eq!((&made["conditions"], &made["scope"]), (&conditions, &json!("a b")));
        assert_eq!(home.json(&["trust", "show", &id]), made);
        assert_eq!(home.json(&["trust", "list"])["items"], api.get(ROWS).json()["items"]);

        let now = SystemWall.now().seconds();
        let claims = |groups: &str| json!({"iss": "https://idp.example.com", "sub": "u", "aud": "https://grantd.example", "iat": now, "exp": now + 60, "groups": groups, "org": "acme"});
        let token = |groups: &str| signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims(groups));
        let good = file("good", &token("dev-a"));
        let bad = file("bad", &format!("{}\n", token("ops")));
        assert_eq!(home.json(&["trust", "test", &id, "--token-file", &good, "--client", &client])["accepted"], true);
        let said = home.run(&["trust", "test", "--token-file", &bad]);
        assert!(said.status.success() && said.stdout.contains("refused: no row accepts it"), "{said:?}");
        assert!(said.stdout.lines().any(|line| line.contains("condition") && line.contains("failed") && line.contains("groups like")), "{said:?}");

        let changed = home.json(&["trust", "update", &id, "--jwks-uri", "https://idp.example.com/jwks", "--enabled", "false"]);
        assert_eq!((&changed["jwks"], &changed["jwks_uri"], &changed["enabled"]), (&json!(null), &json!("https://idp.example.com/jwks"), &json!(false)));
        assert_eq!(home.json(&["trust", "update", &id, "--discovery"])["jwks_uri"], json!(null));
        for (arguments, words) in [
            (vec!["trust", "update", &id, "--jwks-uri", "https://10.0.0.1/"], "jwks_uri names an address"),
            (vec!["trust", "create", "--issuer", "https://idp.example.com"], "audiences must name"),
            (vec!["trust", "update", &id, "--condition", "groups"], "CLAIM OPERATOR VALUE"),
            (vec!["trust", "show", "nobody"], "no such trusted issuer"),
        ] {
            let ran = home.run(&arguments);
            assert_eq!(ran.status.code(), Some(1), "{ran:?}");
            assert!(ran.stderr.contains(words), "{ran:?}");
        }
        home.json(&["trust", "delete", &id]);
        api.get(&path).expect(404);
    }
}
