//! A handler that panics: 500 in the shape of its surface, and everything else goes on.

use actix_web::{HttpRequest, HttpResponse, web};
use grantd::admin::Admin;
use grantd::dialects::deepgram::Deepgram;
use grantd::dialects::endorsed::Endorsed;
use grantd::dialects::usegrant::UseGrant;
use grantd::dialects::vocalstack::VocalStack;
use grantd::dialects::{forward_auth, oauth2, runai};
use grantd::domain::Failed;
use grantd::edge::{Received, Surface, exchange};
use grantd::ops::Ops;
use grantd::web::Web;
use serde_json::json;

use crate::support::app::{Setup, TestApp};
use crate::support::databases::{Kind, block_on};

async fn panics<S: Surface>(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    exchange::<S>(request, payload, async |received: &Received| -> Result<HttpResponse, Failed> {
        assert!(received.body.is_empty(), "planted panic about gs_secret");
        std::panic::panic_any(7_u8);
    })
    .await
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/panic/oauth2", web::post().to(panics::<oauth2::OAuth2>))
        .route("/panic/introspection", web::post().to(panics::<oauth2::Services>))
        .route("/panic/forward-auth", web::post().to(panics::<forward_auth::ForwardAuth>))
        .route("/panic/runai/v1", web::post().to(panics::<runai::V1>))
        .route("/panic/runai/apptoken", web::post().to(panics::<runai::AppToken>))
        .route("/panic/runai/v2", web::post().to(panics::<runai::V2>))
        .route("/panic/deepgram", web::post().to(panics::<Deepgram>))
        .route("/panic/vocalstack", web::post().to(panics::<VocalStack>))
        .route("/panic/endorsed", web::post().to(panics::<Endorsed>))
        .route("/panic/usegrant", web::post().to(panics::<UseGrant>))
        .route("/panic/admin", web::post().to(panics::<Admin>))
        .route("/panic/web", web::post().to(panics::<Web>))
        .route("/panic/ops", web::post().to(panics::<Ops>));
}

async fn survives(kind: Kind) {
    let app = TestApp::start_as(kind, Setup { routes, ..Setup::default() }).await;
    let oauth = json!({"error": "server_error", "error_description": "Something went wrong."});
    let runai = json!({"code": 500, "message": "Something went wrong."});
    for body in ["", "a panic with a text"] {
        for (path, expected) in [
            ("oauth2", &oauth),
            ("introspection", &oauth),
            ("runai/v1", &runai),
            ("runai/apptoken", &runai),
            ("runai/v2", &oauth),
            ("vocalstack", &json!({"status": "error", "error": "Something went wrong."})),
            (
                "endorsed",
                &json!({"is_error": true, "error": "server_error", "error_description": "Something went wrong."}),
            ),
            ("usegrant", &json!({"code": "internal_server_error", "message": "Something went wrong."})),
            ("ops", &json!({"status": "error"})),
        ] {
            let answer = app.post(&format!("/panic/{path}")).body("text/plain", body).send().await;
            assert_eq!((answer.status, &answer.json()), (500, expected), "{path}");
            assert!(!answer.header("x-request-id").is_empty());
        }
        // A gateway lets nothing pass that could not be judged.
        let answer = app.post("/panic/forward-auth").body("text/plain", body).send().await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
        let answer = app.post("/panic/vocalstack").body("text/plain", body).send().await;
        assert_eq!(answer.header("x-api-version"), "1.1.0");
        let answer = app.post("/panic/deepgram").body("text/plain", body).send().await;
        let said = json!({"err_code": "INTERNAL_SERVER_ERROR", "err_msg": "Something went wrong.", "request_id": answer.header("x-request-id")});
        assert_eq!((answer.status, answer.json()), (500, said));
        let answer = app.post("/panic/web").body("text/plain", body).send().await;
        assert_eq!((answer.status, answer.header("content-type")), (500, "text/html; charset=utf-8"));
        assert!(answer.text().contains(answer.header("x-request-id")) && !answer.text().contains("planted"));
        let answer = app.post("/panic/admin").body("text/plain", body).send().await;
        let problem = answer.json();
        assert_eq!((answer.status, answer.header("content-type")), (500, "application/problem+json"));
        assert_eq!((&problem["status"], &problem["detail"]), (&json!(500), &json!("Something went wrong.")));
        let call = app.post("/oauth2/token").form(&[("grant_type", "client_credentials")]);
        assert_eq!(call.basic(&app.first.client_id, &app.first.client_secret).send().await.status, 200);
    }
}

#[test]
fn a_panic_is_a_500_in_the_surfaces_shape_sqlite() {
    block_on(survives(Kind::Sqlite));
}

#[test]
fn a_panic_is_a_500_in_the_surfaces_shape_postgres() {
    block_on(survives(Kind::Postgres));
}
