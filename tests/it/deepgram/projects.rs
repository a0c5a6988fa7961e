//! `/v1/projects`: providers as the SDKs see them.

use serde_json::json;

use crate::deepgram::{code, key, refused};
use crate::domains::{fresh_name, proven};
use crate::support::app::{TestApp, on_both_apps};
use crate::support::http::Call;
use crate::support::jose::decoded;

fn call<'a>(app: &'a TestApp, key: &str, method: &str, path: &str) -> Call<'a> {
    app.call(method, &format!("/v1/projects{path}")).header("authorization", &format!("Token {key}"))
}

on_both_apps! {
    async fn a_key_sees_its_own_project_and_a_free_one_all(app: TestApp) {
        let id = app.provider("acme", json!({"name": "Acme Speech"})).await["id"].as_str().unwrap().to_owned();
        let bound = app.api_key(json!({"role": "admin", "provider": "acme"})).await;
        let shown = json!({"project_id": id, "name": "Acme Speech"});
        assert_eq!(call(&app, &bound, "GET", "").send().await.json(), json!({"projects": [shown]}));
        assert_eq!(call(&app, &bound, "GET", &format!("/{id}")).send().await.json(), shown);
        let all = call(&app, &key(&app, "admin").await, "GET", "").send().await.json();
        assert!(all["projects"].as_array().unwrap().len() == 2 && all["projects"].as_array().unwrap().contains(&shown), "{all}");
        let default = all["projects"].as_array().unwrap().iter().find(|project| **project != shown).unwrap()["project_id"].as_str().unwrap().to_owned();
        for unknown in [default.as_str(), "nobody", "00000000-0000-7000-8000-000000000000", "A B"] {
            let answer = call(&app, &bound, "GET", &format!("/{}", unknown.replace(' ', "%20"))).send().await;
            assert_eq!(refused(&answer), code(404, "PROJECT_NOT_FOUND"), "{unknown}");
        }
        let member = app.api_key(json!({"role": "member", "provider": "acme"})).await;
        let weak = call(&app, &member, "GET", "").send().await;
        assert_eq!(refused(&weak), code(403, "FORBIDDEN"));
        assert!(weak.text().contains("of role admin"), "{}", weak.text());
    }

    async fn below_its_own_path_there_is_one_project(app: TestApp) {
        let id = app.provider("acme", json!({"surfaces": ["deepgram"]})).await["id"].as_str().unwrap().to_owned();
        app.provider("other", json!({"surfaces": ["deepgram"]})).await;
        let owner = &app.first.owner_key;
        let listed = app.get("/p/acme/v1/projects").bearer(owner).send().await.json();
        assert_eq!(listed, json!({"projects": [{"project_id": id, "name": "acme"}]}));
        assert_eq!(app.get(&format!("/p/acme/v1/projects/{id}/keys")).bearer(owner).send().await.status, 200);
        let misplaced = app.get(&format!("/p/other/v1/projects/{id}/keys")).bearer(owner).send().await;
        assert_eq!(refused(&misplaced), code(404, "PROJECT_NOT_FOUND"));
    }

    async fn a_surface_that_is_named_twice_is_turned_on_once(app: TestApp) {
        let made = app.provider("acme", json!({"surfaces": ["deepgram", "deepgram"]})).await;
        assert_eq!(made["surfaces"], json!(["deepgram"]));
        let change = json!({"surfaces": ["vocalstack", "deepgram", "vocalstack"]});
        let changed = app.admin("PATCH", "/providers/acme").json(&change).send().await;
        assert_eq!((changed.status, &changed.json()["surfaces"]), (200, &json!(["vocalstack", "deepgram"])));
    }

    async fn at_the_domain_of_a_provider_there_is_its_project_only(app: TestApp) {
        let id = app.provider("acme", json!({})).await["id"].as_str().unwrap().to_owned();
        let name = fresh_name();
        proven(&app, "acme", &name).await;
        let ask = async |method: &str, path: &str| app.call(method, path).header("host", &name).bearer(&app.first.owner_key).send().await;
        assert_eq!(ask("GET", "/v1/projects").await.status, 404, "acme has not turned it on");
        assert_eq!(app.admin("PATCH", "/providers/acme").json(&json!({"surfaces": ["deepgram"]})).send().await.status, 200);
        let shown = json!({"project_id": id, "name": "acme"});
        assert_eq!(ask("GET", "/v1/projects").await.json(), json!({"projects": [shown]}));
        let default = app.admin("GET", "/providers/default").send().await.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(refused(&ask("GET", &format!("/v1/projects/{default}")).await), code(404, "PROJECT_NOT_FOUND"));
        let token = ask("POST", "/v1/auth/grant").await.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(decoded(&token).1["iss"], json!("https://id.example.com/p/acme"));
    }

    async fn a_project_is_renamed_and_ended_only_when_it_is_empty(app: TestApp) {
        let id = app.provider("acme", json!({})).await["id"].as_str().unwrap().to_owned();
        let (path, owner) = (format!("/{id}"), app.first.owner_key.clone());
        let renamed = call(&app, &owner, "PATCH", &path).json(&json!({"name": "Acme", "company": "x"})).send().await;
        assert_eq!((renamed.status, renamed.json()["message"].is_string()), (200, true), "{}", renamed.text());
        assert_eq!(call(&app, &owner, "GET", &path).send().await.json()["name"], json!("Acme"));
        for body in [json!({}), json!({"name": ""}), json!({"name": 7}), json!({"name": null}), json!({"name": "x".repeat(256)})] {
            assert_eq!(refused(&call(&app, &owner, "PATCH", &path).json(&body).send().await), code(400, "BAD_REQUEST"), "{body}");
        }
        let client = app.client_of("acme", json!({})).await;
        let answer = call(&app, &owner, "DELETE", &path).send().await;
        assert_eq!(refused(&answer), code(400, "BAD_REQUEST"));
        assert!(answer.text().contains("live clients") && !answer.text().contains("cascade"), "{}", answer.text());
        let told = app.admin("DELETE", "/providers/acme").send().await;
        assert!(told.status == 409 && told.text().contains("live clients") && told.text().contains("?cascade=true"), "{}", told.text());
        let ended = app.admin("DELETE", &format!("/providers/acme/clients/{}", client.id)).send().await;
        assert_eq!(ended.status, 204);
        let bound = app.api_key(json!({"role": "owner", "provider": "acme"})).await;
        assert_eq!(refused(&call(&app, &bound, "DELETE", &path).send().await), code(403, "FORBIDDEN"));
        assert_eq!(call(&app, &owner, "DELETE", &path).send().await.status, 200);
        assert_eq!(refused(&call(&app, &owner, "GET", &path).send().await), code(404, "PROJECT_NOT_FOUND"));
        let default = app.admin("GET", "/providers/default").send().await.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(refused(&call(&app, &owner, "DELETE", &format!("/{default}")).send().await), code(400, "BAD_REQUEST"));
    }
}
