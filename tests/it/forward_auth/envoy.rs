//! A gateway that passes the client's own method, path and query on: `forward_auth.method = request`.

use serde_json::json;

use crate::forward_auth::{GATE, INSUFFICIENT, INVALID, MISSING, passed, service, stopped};
use crate::support::app::{ISSUER, Setup, TestApp};
use crate::support::databases::{Kind, block_on};

async fn envoy(kind: Kind) -> TestApp {
    TestApp::start_as(kind, Setup { forward_auth_method: "request", ..Setup::default() }).await
}

#[test]
fn the_method_of_the_call_is_judged_and_no_header() {
    block_on(async {
        let app = envoy(Kind::Sqlite).await;
        let open = &format!("{GATE}?preflight=1");
        passed(&app.call("OPTIONS", open).send().await);
        passed(&app.call("OPTIONS", open).header("x-forwarded-method", "POST").send().await);
        let claims = app.call("POST", open).at_address("127.0.0.1").header("x-forwarded-method", "OPTIONS");
        assert_eq!(stopped(&claims.send().await), MISSING);
    });
}

#[test]
fn what_the_client_appends_to_the_query_widens_nothing() {
    block_on(async {
        let app = envoy(Kind::Sqlite).await;
        let client = app.client(json!({"audience": ["friend"]})).await;
        let (for_friend, own) = (app.token(&client).await, app.token(&service(&app).await).await);
        // The gateway's own query.
        passed(&app.get(&format!("{GATE}?audience=friend")).bearer(&for_friend).send().await);
        // Below the gateway's path the query is the client's.
        assert_eq!(
            stopped(&app.get(&format!("{GATE}/orders?audience=friend")).bearer(&for_friend).send().await),
            INVALID
        );
        assert_eq!(stopped(&app.get(&format!("{GATE}/?audience=friend")).bearer(&for_friend).send().await), INVALID);
        assert_eq!(stopped(&app.call("OPTIONS", &format!("{GATE}/orders?preflight=1")).send().await), MISSING);
        passed(&app.get(&format!("{GATE}/orders?audience=friend&preflight=2")).bearer(&own).send().await);
        // A scope only narrows.
        assert_eq!(stopped(&app.get(&format!("{GATE}/orders?scope=admin")).bearer(&own).send().await), INSUFFICIENT);
        // Appended to a complete query it is a repetition.
        let complete = format!("{GATE}?scope=orders:read&audience={ISSUER}&preflight=0&path=/orders");
        passed(&app.get(&complete).bearer(&own).send().await);
        for more in ["audience=friend", "preflight=1", "scope="] {
            let answer = app.call("OPTIONS", &format!("{complete}?x=1&{more}")).bearer(&for_friend).send().await;
            assert_eq!(answer.status, 400, "{more}");
        }
    });
}
