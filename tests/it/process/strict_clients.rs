//! Unmodified clients that take the specifications at their word log a person in: openid-client and
//! Authlib do discovery, the code flow with PKCE, every check of the ID token, refresh, userinfo,
//! introspection, revocation and logout. The login page is filled in as a browser without script
//! would.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::databases::Kind;
use crate::support::process::{Home, OWNER, Server, on_each};

const CALLBACK: &str = "https://app.example.com/cb";
const PASSWORD: &str = "correct horse battery staple";

/// A server with an account and a web application.
struct Ready {
    server: Server,
    settings: Value,
    user: String,
}

impl Ready {
    fn on(kind: Kind) -> Self {
        // The issuer is where the server listens: these clients go there.
        let home = Home::bare(kind).with("GRANTD_ADMIN_KEY", OWNER);
        let server = home.serve();
        let api = Api::of(&home, &server);
        let fields =
            json!({"username": "ada", "password": PASSWORD, "email": "ada@example.com", "name": "Ada Lovelace"});
        let user = api.post("/providers/default/users", &fields).expect(201).text_of("id");
        let (id, secret) = api.new_client(&json!({
            "client_name": "Strict",
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": ["https://app.example.com/bye"],
            "scope": "openid profile email offline_access",
            "refresh_rotation": "always",
        }));
        let issuer = server.http.get("/.well-known/openid-configuration").text_of("issuer");
        let settings = json!({
            "packages": root().join(".clients/node"),
            "issuer": issuer,
            "client_id": id,
            "client_secret": secret,
            "redirect_uri": CALLBACK,
            "post_logout_redirect_uri": "https://app.example.com/bye",
            "username": "ada",
            "password": PASSWORD,
        });
        Self { server, settings, user }
    }

    fn run(&self, program: &Path, script: &str) -> Value {
        assert!(
            program.exists() || program == Path::new("node"),
            "{program:?} is missing: run ./scripts/clients first."
        );
        let mut command = Command::new(program);
        command.arg(root().join(script)).arg(self.settings.to_string());
        for variable in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            command.env_remove(variable);
        }
        let output = command.output().expect("the client does not start");
        let line = String::from_utf8_lossy(&output.stdout);
        let said = serde_json::from_str(line.lines().last().unwrap_or_default());
        said.unwrap_or_else(|error| panic!("{error}: {output:?}\n{}", self.server.stderr()))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

on_each! {
    fn openid_client_logs_a_person_in_and_out(ready: Ready) {
        let said = ready.run(Path::new("node"), "tests/clients/openid_client.mjs");
        assert_eq!(said["claims"]["sub"], json!(ready.user));
        assert_eq!(said["userinfo"]["email"], json!("ada@example.com"));
        assert_eq!(said["userinfo"]["name"], json!("Ada Lovelace"));
        assert_eq!((&said["rotated"], &said["refreshedIdToken"]), (&json!(true), &json!(true)));
        assert_eq!((&said["introspected"]["active"], &said["introspected"]["sub"]), (&json!(true), &json!(ready.user)));
        assert_eq!(said["afterRevocation"], json!({"active": false}), "a revoked family takes its tokens along");
        assert_eq!(said["refusedRefresh"], json!("invalid_grant"));
        assert_eq!(said["left"], json!("https://app.example.com/bye?state=bye"));
    }

    fn authlib_logs_a_person_in(ready: Ready) {
        let python = root().join(".clients/authlib/bin/python");
        let said = ready.run(&python, "tests/it/process/authlib_login.py");
        assert_eq!(said["claims"]["sub"], json!(ready.user));
        assert_eq!(said["userinfo"]["email"], json!("ada@example.com"));
        assert_eq!(said["rotated"], json!(true));
        assert_eq!(said["introspected"]["active"], json!(true));
        assert_eq!(said["after"], json!({"active": false}));
    }
}
