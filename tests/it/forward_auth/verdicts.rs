//! Tokens, audience, scope and preflight.

use serde_json::json;

use crate::forward_auth::{GATE, INSUFFICIENT, INVALID, MISSING, gateway, passed, service, stopped};
use crate::support::app::{ISSUER, on_both_apps};
use crate::support::client::decoded;

const API: &str = "https://api.example.com";

on_both_apps! {
    async fn any_method_on_any_path_below_is_judged_and_told_all_four_headers(app: TestApp) {
        let client = service(&app).await;
        let token = app.token(&client).await;
        let jti = decoded(&token).1["jti"].as_str().unwrap().to_owned();
        let expected = [client.id.as_str(), client.id.as_str(), "orders:read orders:write", jti.as_str()];
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"] {
            for path in [GATE, "/forward-auth/", "/forward-auth/orders/1", "/forward-auth/a%2Fb/..%2f/%F0%9F%A6%80?x=1"] {
                let answer = app.call(method, path).bearer(&token).send().await;
                assert_eq!(passed(&answer), expected, "{method} {path}");
                assert_eq!(stopped(&app.call(method, path).send().await), MISSING, "{method} {path}");
            }
        }
        for unknown in ["/forward-authority", "/forward-aut", "/x/forward-auth"] {
            assert_eq!(app.get(unknown).bearer(&token).send().await.status, 404, "{unknown}");
        }
        // The body of the request is not looked at.
        let answer = app.post(GATE).body("application/json", "{").bearer(&token).send().await;
        assert_eq!(passed(&answer), expected);
    }

    async fn what_is_unknown_is_an_empty_header(app: TestApp) {
        let client = app.client(json!({})).await;
        let token = app.token(&client).await;
        let [subject, named, scope, id] = passed(&app.get(GATE).bearer(&token).send().await).map(str::to_owned);
        assert_eq!((subject, named, scope.as_str(), id.len()), (client.id.clone(), client.id, "", 36));
    }

    async fn what_is_no_live_access_token_of_this_provider_is_stopped(app: TestApp) {
        app.provider("acme", json!({})).await;
        let client = service(&app).await;
        let token = app.token(&client).await;
        let revoked = app.token(&client).await;
        app.post("/oauth2/revoke").form(&[("token", &revoked)]).basic(&client.id, &client.secret).send().await;
        let of_acme = {
            let client = app.client_of("acme", json!({})).await;
            app.token_at("/p/acme", &client).await
        };
        let apptoken = json!({"id": client.id, "name": "x", "secret": client.secret});
        let id_token = app.post("/v1/k8s/auth/oauth/apptoken").json(&apptoken).send().await.json();
        let id_token = id_token["id_token"].as_str().expect("an ID token").to_owned();
        let owner = app.first.owner_key.clone();
        let long = "x".repeat(60_000);
        for dead in [&revoked, &of_acme, &id_token, &owner, &client.secret, "x", "ga_x", "gr_x", "ey.ey.ey", &long] {
            assert_eq!(stopped(&app.get(GATE).bearer(dead).send().await), INVALID, "{dead:.40}");
        }
        // Unreadable, or two of them: nobody knows which the application would take.
        for odd in ["Bearer", "Bearer ", "Digest x", &token] {
            assert_eq!(stopped(&app.get(GATE).header("authorization", odd).send().await), INVALID, "{odd:.40}");
        }
        assert_eq!(stopped(&app.get(GATE).bearer(&token).bearer(&token).send().await), INVALID);
        assert_eq!(stopped(&app.get(GATE).basic(&client.id, &client.secret).send().await), MISSING);
        // A token in the URL is none.
        let in_url = format!("{GATE}?access_token={token}");
        assert_eq!(stopped(&app.get(&in_url).send().await), MISSING);
        passed(&app.get("/p/acme/forward-auth").bearer(&of_acme).send().await);
        assert_eq!(stopped(&app.get("/p/acme/forward-auth/x").bearer(&token).send().await), INVALID);
        assert_eq!(app.get("/p/nobody/forward-auth").bearer(&token).send().await.status, 404);
        assert_eq!(app.get("/p/default/forward-auth").bearer(&token).send().await.status, 404);

        app.pass(3599);
        passed(&app.get(GATE).bearer(&token).send().await);
        app.change(&client, json!({"enabled": false})).await;
        assert_eq!(stopped(&app.get(GATE).bearer(&token).send().await), INVALID, "of a disabled client");
        app.pass(1);
        assert_eq!(stopped(&app.get(GATE).bearer(&token).send().await), INVALID, "expired");
    }

    async fn a_token_passes_only_where_it_is_meant_for(app: TestApp) {
        let client = app.client(json!({"audience": [API, "friend"]})).await;
        let (for_api, own) = (app.token(&client).await, app.token(&service(&app).await).await);
        let asked = |audience: &str| format!("{GATE}?audience={audience}");
        passed(&app.get(&asked("https%3A%2F%2Fapi.example.com")).bearer(&for_api).send().await);
        passed(&app.get(&asked(API)).bearer(&for_api).send().await);
        passed(&app.get(&asked(ISSUER)).bearer(&own).send().await);
        passed(&app.get(GATE).bearer(&own).send().await);
        for (path, token) in [
            (GATE.to_owned(), &for_api),
            (asked(ISSUER), &for_api),
            (asked("friend"), &for_api),
            (asked("https://api.example"), &for_api),
            (asked(&format!("{API}/")), &for_api),
            (asked(API), &own),
        ] {
            assert_eq!(stopped(&app.get(&path).bearer(token).send().await), INVALID, "{path}");
        }
        // The provider's default audience is what nobody asked for.
        let default = json!({"default_audience": API});
        assert_eq!(app.admin("PATCH", "/providers/default").json(&default).send().await.status, 200);
        passed(&app.get(GATE).bearer(&for_api).send().await);
        assert_eq!(stopped(&app.get(GATE).bearer(&own).send().await), INVALID);
    }

    async fn who_presents_no_token_is_not_told_of_an_invalid_one(app: TestApp) {
        for (call, code) in [(app.get(GATE), "unauthorized"), (app.get(GATE).bearer("x"), "invalid_token")] {
            assert_eq!(call.send().await.refusal(), (401, code.to_owned()));
        }
        // Basic credentials are no token.
        let basic = app.get(GATE).basic("a", "b").send().await;
        assert_eq!((stopped(&basic), basic.refusal().1.as_str()), (MISSING, "unauthorized"));
    }

    async fn every_scope_that_is_asked_for_is_needed(app: TestApp) {
        let token = app.token(&service(&app).await).await;
        for enough in ["", "orders:read", "orders:write+orders:read", "orders%3Aread%20orders%3Aread"] {
            passed(&app.get(&format!("{GATE}?scope={enough}")).bearer(&token).send().await);
        }
        for lacking in ["orders", "orders:read+admin", "ORDERS:READ", "openid"] {
            let answer = app.get(&format!("{GATE}/x?scope={lacking}")).bearer(&token).send().await;
            assert_eq!(stopped(&answer), INSUFFICIENT, "{lacking}");
            assert!(answer.json()["error_description"].as_str().is_some_and(|text| text.contains("scope")));
        }
    }

    async fn a_query_that_can_be_read_in_two_ways_is_refused(app: TestApp) {
        let token = app.token(&service(&app).await).await;
        for query in [
            "scope=orders:read&scope=", "audience=a&audience=a", "preflight=0&preflight=1", "preflight=yes",
            "scope=%22", "scope=%FF", "scope=a%00b",
        ] {
            for method in ["GET", "OPTIONS"] {
                let answer = app.call(method, &format!("{GATE}?{query}")).bearer(&token).send().await;
                assert_eq!(answer.refusal(), (400, "invalid_request".to_owned()), "{query}");
            }
        }
        // What is not ours may stand as often as it likes.
        passed(&app.get(&format!("{GATE}?tag=a&tag=b&%FF=%FF&preflight=&audience=")).bearer(&token).send().await);
    }

    async fn a_preflight_passes_without_a_token_where_the_gateway_says_so(app: TestApp) {
        let token = app.token(&service(&app).await).await;
        let open = &format!("{GATE}?preflight=1&scope=orders:read&audience={API}");
        assert_eq!(passed(&gateway(&app, "OPTIONS", open).send().await), ["", "", "", ""]);
        for (method, path) in [("GET", open.as_str()), ("options", open), ("OPTIONS", GATE), ("OPTIONS", "/forward-auth?preflight=0")] {
            assert_eq!(stopped(&gateway(&app, method, path).send().await), MISSING, "{method} {path}");
        }
        // A token that is there is judged.
        assert_eq!(stopped(&gateway(&app, "OPTIONS", open).bearer("x").send().await), INVALID);
        assert_eq!(stopped(&gateway(&app, "OPTIONS", open).bearer(&token).send().await), INVALID);
        // Who is not believed cannot call itself a preflight; nor is the call's own method meant.
        let stranger = app.get(open).header("x-forwarded-method", "OPTIONS").send().await;
        assert_eq!(stopped(&stranger), MISSING);
        assert_eq!(stopped(&app.call("OPTIONS", open).send().await), MISSING);
        assert_eq!(stopped(&gateway(&app, "OPTIONS", open).header("x-forwarded-method", "OPTIONS").send().await), MISSING);
    }
}
