//! Providers and clients.

use serde_json::{Value, json};

use crate::support::app::on_both_apps;
use crate::usegrant::{AUDIENCE, CLIENT, PROVIDER, Sdk, refusal, slug, text};

fn bad(message: &str) -> (u16, String, String) {
    (400, "bad_request".to_owned(), message.to_owned())
}

on_both_apps! {
    async fn a_provider_is_made_listed_read_and_ended(app: TestApp) {
        let sdk = Sdk::of(&app);
        let before = sdk.list("providers", &PROVIDER).await;
        assert_eq!(before.len(), 1, "only default: {before:?}");
        let made = sdk.provider("Acme App (Prod)").await;
        assert_eq!((&made["name"], &made["description"]), (&json!("Acme App (Prod)"), &json!("Made by a test")));
        let own = slug(&made);
        assert!(own.starts_with("acme-app-prod-") && own.len() == "acme-app-prod-".len() + 8, "{own}");
        let path = format!("providers/{}", text(&made, "id"));
        assert_eq!(sdk.get(&path, &PROVIDER).await, made);
        // Whoever is told of it finds the key that will sign its tokens.
        let jwks = app.get(&format!("/p/{own}/.well-known/jwks")).send().await.json();
        assert_eq!((jwks["keys"].as_array().unwrap().len(), &jwks["keys"][0]["alg"]), (1, &json!("RS256")));
        assert_eq!(sdk.list("providers", &PROVIDER).await.len(), 2);
        // A name is not a key: the next one is another provider.
        assert_ne!(slug(&sdk.provider("Acme App (Prod)").await), own);
        // It is a provider like any other.
        let shown = app.admin("GET", &format!("/{path}")).send().await.json();
        assert_eq!((&shown["description"], &shown["surfaces"]), (&json!("Made by a test"), &json!(["usegrant"])));
        sdk.delete(&path).await;
        for method in ["GET", "DELETE"] {
            let refused = sdk.refused(method, &path, None).await;
            assert_eq!(refused, (404, "not_found".to_owned(), "There is no such provider.".to_owned()));
        }
        assert_eq!(app.get(&format!("/p/{own}/.well-known/jwks")).send().await.status, 404);
    }

    async fn a_client_is_made_listed_read_and_ended(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme").await;
        let clients = format!("providers/{}/clients", text(&provider, "id"));
        assert!(sdk.list(&clients, &CLIENT).await.is_empty());
        let made = sdk.client(&provider, AUDIENCE).await;
        assert_eq!((&made["name"], &made["audience"]), (&json!("A workload"), &json!(AUDIENCE)));
        let path = format!("{clients}/{}", text(&made, "id"));
        assert_eq!(sdk.get(&path, &CLIENT).await, made);
        assert_ne!(sdk.client(&provider, AUDIENCE).await["subject"], made["subject"]);
        assert_eq!(sdk.list(&clients, &CLIENT).await.len(), 2);
        sdk.delete(&path).await;
        for method in ["GET", "DELETE"] {
            assert_eq!(sdk.refused(method, &path, None).await.0, 404);
        }
        assert_eq!(sdk.list(&clients, &CLIENT).await.len(), 1);
    }

    async fn a_list_is_whole_beyond_one_page(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Many").await;
        let owner = text(&provider, "id").to_owned();
        app.job(move |tx| {
            for number in 0..501 {
                let id = format!("019a0000-0000-7000-8000-{number:012}");
                let client = crate::store::samples::client(&owner, &id);
                let client = grantd::domain::Client { only_surface: Some("usegrant".to_owned()), ..client };
                assert!(grantd::store::clients::insert(tx, client)?);
            }
            Ok(())
        })
        .await;
        assert_eq!(sdk.list(&format!("providers/{}/clients", text(&provider, "id")), &CLIENT).await.len(), 501);
    }

    async fn fields_have_the_bounds_of_the_published_schema(app: TestApp) {
        let sdk = Sdk::of(&app);
        let send = async |path: &str, body: Value| sdk.refused("POST", path, Some(&body)).await;
        let name = "name must be text of 3 to 50 characters";
        for wrong in [json!("ab"), json!("x".repeat(51)), json!(7), json!(["abc"])] {
            assert_eq!(send("providers", json!({"name": wrong, "description": "x"})).await, bad(name), "{wrong}");
        }
        assert_eq!(send("providers", json!({"description": "x"})).await, bad("name is needed"));
        for wrong in ["".to_owned(), "x".repeat(101)] {
            let refused = send("providers", json!({"name": "abc", "description": wrong})).await;
            assert_eq!(refused, bad("description must be text of 1 to 100 characters"), "{wrong}");
        }
        let refused = send("providers", json!({"name": "a\u{7}bc", "description": "x"})).await;
        assert_eq!(refused, bad("name must be 1 to 255 characters without control characters"));
        // Both ends, counted in characters.
        for fits in ["äöü".to_owned(), "日".repeat(50)] {
            sdk.provider(&fits).await;
        }
        let provider = sdk.provider("Acme").await;
        let clients = format!("providers/{}/clients", text(&provider, "id"));
        for wrong in ["ab".to_owned(), "x".repeat(101)] {
            let refused = send(&clients, json!({"name": "abc", "audience": wrong})).await;
            assert_eq!(refused, bad("audience must be text of 3 to 100 characters"), "{wrong}");
        }
        let (status, code, message) = send(&clients, json!({"name": "abc", "audience": "two words"})).await;
        assert_eq!((status, code.as_str()), (400, "bad_request"));
        assert!(message.starts_with("audience an audience is") || message.starts_with("audience "), "{message}");
        assert!(sdk.list(&clients, &CLIENT).await.is_empty(), "nothing was half done");
    }

    async fn what_was_made_elsewhere_is_not_there_to_be_ended(app: TestApp) {
        let sdk = Sdk::of(&app);
        let default = app.provider_id().await;
        assert_eq!(sdk.refused("DELETE", &format!("providers/{default}"), None).await.0, 404);
        assert!(sdk.list(&format!("providers/{default}/clients"), &CLIENT).await.is_empty());
        for client in [app.first.client_id.as_str(), "runai"] {
            for method in ["GET", "DELETE"] {
                let path = format!("providers/{default}/clients/{client}");
                assert_eq!(sdk.refused(method, &path, None).await.0, 404, "{method} {client}");
            }
        }
        let (of_clients, of_users) = (sdk.provider("Clients").await, sdk.provider("Users").await);
        let client = app.client_of(text(&of_clients, "id"), json!({})).await;
        let user = json!({"username": "alice"});
        let users = format!("/providers/{}/users", text(&of_users, "id"));
        assert_eq!(app.admin("POST", &users).json(&user).send().await.status, 201);
        for provider in [&of_clients, &of_users] {
            let path = format!("providers/{}", text(provider, "id"));
            let refused = sdk.refused("DELETE", &path, None).await;
            assert_eq!(refused, (404, "not_found".to_owned(), "There is no such provider.".to_owned()));
            sdk.get(&path, &PROVIDER).await;
        }
        // Once the others are gone it can go, with the clients that were made here.
        let own = sdk.client(&of_clients, AUDIENCE).await;
        let path = format!("/providers/{}/clients", text(&of_clients, "id"));
        assert_eq!(app.admin("DELETE", &format!("{path}/{}", client.id)).send().await.status, 204);
        assert_eq!(app.admin("GET", &format!("{path}/{}", text(&own, "id"))).send().await.status, 200);
        sdk.delete(&format!("providers/{}", text(&of_clients, "id"))).await;
    }

    async fn a_client_of_this_surface_is_none_anywhere_else(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme").await;
        let client = sdk.client(&provider, AUDIENCE).await;
        let (base, id) = (format!("/p/{}", slug(&provider)), text(&client, "id"));
        let form = [("grant_type", "client_credentials"), ("client_id", id)];
        let answer = app.post(&format!("{base}/oauth2/token")).form(&form).send().await;
        assert_eq!(answer.status, 401, "{}", answer.text());
        // The admin API shows and ends it like any other, and gives it no other way to prove itself.
        let path = format!("/providers/{}/clients/{id}", text(&provider, "id"));
        let change = json!({"grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic"});
        assert_eq!(app.admin("PATCH", &path).json(&change).send().await.status, 422);
        assert_eq!(app.admin("DELETE", &path).send().await.status, 204);
        assert_eq!(app.admin("DELETE", "/providers/default/clients/runai").send().await.status, 409);
    }

    async fn paths_and_methods_that_are_not_there_are_refused_in_its_own_shape(app: TestApp) {
        let sdk = Sdk::of(&app);
        let nothing = (404, "not_found".to_owned(), "There is nothing at this path.".to_owned());
        for path in ["providers/x/nothing", "tenants/x/y/z", "tenants/"] {
            assert_eq!(sdk.refused("GET", path, None).await, nothing, "{path}");
        }
        for (method, path, allowed) in [
            ("PUT", "providers", "GET, POST, HEAD"),
            ("PATCH", "providers/x", "GET, DELETE, HEAD"),
            ("GET", "tenants/x/validate", "POST"),
            ("GET", "providers/x/clients/y/tokens", "POST"),
        ] {
            let answer = sdk.send(method, path, None).await;
            assert_eq!(refusal(&answer).1, "method_not_allowed", "{method} {path}");
            assert_eq!((answer.status, answer.header("allow")), (405, allowed));
        }
    }

    async fn the_document_of_the_server_names_every_call(app: TestApp) {
        let document = app.get("/openapi.json").send().await.json();
        let operation = &document["paths"]["/v1/providers/{provider_id}/clients/{client_id}/tokens"]["post"];
        assert_eq!(operation["operationId"], "usegrant_create_token");
        assert_eq!(operation["security"], json!([{"api_key": []}]));
        let own = document["paths"].as_object().unwrap().iter().filter(|(path, _)| {
            path.starts_with("/v1/providers") || path.starts_with("/v1/tenants")
        });
        assert!(own.map(|(_, item)| item.as_object().unwrap().keys().filter(|key| *key != "servers").count()).sum::<usize>() == 27);
    }
}

on_both_apps! {
    async fn a_list_that_is_too_long_is_refused_with_what_to_do(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Long lists").await;
        for _ in 0..25 {
            sdk.client(&provider, "https://api.example.com").await;
        }
        let path = format!("providers/{}/clients", text(&provider, "id"));
        assert_eq!(sdk.list(&path, &CLIENT).await.len(), 25);
        let sql = format!("UPDATE clients SET name = '{}'", "x".repeat(50_000));
        app.job(move |tx| Ok(diesel::connection::SimpleConnection::batch_execute(&mut **tx, &sql)?)).await;
        let (status, code, message) = sdk.refused("GET", &path, None).await;
        assert_eq!((status, code.as_str()), (400, "bad_request"), "{message}");
        assert!(message.ends_with("from the admin API: GET /admin/v1/providers/{provider}/clients."), "{message}");
    }
}
