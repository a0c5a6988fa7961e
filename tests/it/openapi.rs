//! The OpenAPI document: whole, about every route, and true (what is true of answers, `support/documented.rs`
//! holds against every answer that any test sees).

use std::collections::BTreeSet;

use grantd::app::all_operations;
use grantd::config::Surfaces;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::databases::{Kind, block_on};
use crate::support::documented::{Seen, document, flaw, schema_in_document};

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// `(path, method, operation)` of each.
fn operations() -> Vec<(&'static str, &'static str, &'static Value)> {
    let mut all = Vec::new();
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if METHODS.contains(&method.as_str()) {
                all.push((path.as_str(), method.as_str(), operation));
            }
        }
    }
    all
}

#[test]
fn every_operation_is_told_in_full() {
    let tags: BTreeSet<&str> =
        document()["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let (mut ids, mut flaws) = (BTreeSet::new(), Vec::new());
    let all = operations();
    assert!(all.len() > 120, "only {} operations", all.len());
    for (path, method, operation) in all {
        let mut add = |what: &str| flaws.push(format!("{method} {path}: {what}"));
        let id = operation["operationId"].as_str().unwrap();
        if !ids.insert(id) {
            add("its operationId is another one's too");
        }
        if !tags.contains(operation["tags"][0].as_str().unwrap()) {
            add("its tag has no description (TAGS in ops/openapi.rs)");
        }
        let answers = operation["responses"].as_object().unwrap();
        if !answers.keys().any(|status| status.as_str() < "400") {
            add("is not described: give its route .doc(…)");
        }
        for (status, answer) in answers {
            if answer["description"].as_str().unwrap().is_empty() {
                add(&format!("its {status} says nothing"));
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["description"].as_str().is_none_or(str::is_empty) {
                add(&format!("its parameter {} says nothing", parameter["name"]));
            }
        }
        if matches!(method, "get" | "head") && operation.get("requestBody").is_some() {
            add("has a body, which its method has no meaning for");
        }
    }
    assert!(flaws.is_empty(), "{flaws:#?}");
}

#[test]
fn no_name_of_a_schema_means_two_things_and_every_reference_leads_somewhere() {
    let (whole, twice) = all_operations(&Surfaces::default(), "").make();
    assert_eq!(twice, Vec::<String>::new(), "in a request and in an answer they differ: rename one");
    let numbered: Vec<&String> = whole["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| {
            // schemars numbers the second type of one name.
            name.ends_with(|last: char| last.is_ascii_digit())
        })
        .collect();
    assert_eq!(numbered, Vec::<&String>::new(), "two types have one name: #[schemars(rename = …)]");
    let mut named = BTreeSet::new();
    references(&whole, &mut named);
    assert!(named.len() > 40);
    for reference in named {
        assert!(whole.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
}

fn references<'a>(value: &'a Value, named: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(members) => {
            named.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, named));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, named)),
        _ => {}
    }
}

#[test]
fn every_example_is_one_of_its_schema() {
    let mut seen = 0;
    for (path, method, operation) in operations() {
        let answers = operation["responses"].as_object().unwrap().values();
        for part in answers.chain(operation.get("requestBody")) {
            for media in part["content"].as_object().into_iter().flat_map(|content| content.values()) {
                let Some(example) = media.get("example") else { continue };
                seen += 1;
                let errors: Vec<String> =
                    schema_in_document(&media["schema"]).iter_errors(example).map(|error| error.to_string()).collect();
                assert!(errors.is_empty(), "{method} {path}: {errors:#?}");
            }
        }
    }
    assert!(seen > 15, "only {seen} examples");
}

#[test]
fn an_answer_that_the_document_does_not_name_is_found() {
    let list = "/p/{provider_slug}/oauth2/token";
    let told = |method: &str, pattern: &str, status: u16, media_type: &str, body: &str| {
        flaw(&Seen { method, pattern, status, media_type, body: body.as_bytes() })
    };
    let good = r#"{"access_token":"a","token_type":"Bearer","expires_in":1}"#;
    assert_eq!(told("POST", list, 200, "application/json", good), None);
    assert!(told("POST", list, 418, "application/json", good).unwrap().contains("does not name"));
    assert!(told("POST", list, 200, "text/plain", good).unwrap().contains("text/plain"));
    let wrong = r#"{"access_token":7,"token_type":"Bearer","expires_in":1}"#;
    assert!(told("POST", list, 200, "application/json", wrong).unwrap().contains("refuses"));
    assert!(told("DELETE", list, 200, "application/json", "{}").unwrap().contains("no such operation"));
    assert_eq!(told("DELETE", list, 405, "application/json", "{}"), None);
    let gone = "/admin/v1/providers/{provider}";
    assert!(told("DELETE", gone, 204, "", "{}").unwrap().contains("with a body"));
    assert_eq!(told("GET", "/a/test's/own", 418, "", ""), None);
}

#[test]
fn the_pages_show_every_operation_and_load_nothing_from_elsewhere() {
    block_on(async {
        let app = TestApp::start(Kind::Sqlite).await;
        let index = app.get("/docs").send().await;
        let policy = index.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
        let index = index.text();
        let mut sections = BTreeSet::new();
        for link in links(&index) {
            sections.extend(link.split('#').next().filter(|link| link.starts_with("/docs/")).map(str::to_owned));
        }
        assert!(sections.len() > 10, "{sections:?}");
        let mut all = String::new();
        for section in sections {
            let answer = app.get(&section).send().await;
            assert_eq!(answer.status, 200, "{section}");
            all.push_str(&answer.text());
        }
        for (path, method, operation) in operations() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(index.contains(&format!("#{id}\"")), "the overview lacks {method} {path}");
            assert!(all.contains(&format!("<article id=\"{id}\">")), "the pages lack {method} {path}");
        }
        for page in [&index, &all] {
            assert!(!page.contains("<script") && !page.contains(" style=") && !page.contains(" onclick="));
            for link in links(page) {
                assert!(link.starts_with('/') || link.starts_with('#'), "{link} leads elsewhere");
            }
        }
        assert_eq!(app.get("/docs/style.css").send().await.status, 200);
        let gone = app.get("/docs/nothing").send().await;
        assert_eq!((gone.status, gone.json()), (404, json!({"status": "not found"})));
    });
}

fn links(page: &str) -> Vec<&str> {
    page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn the_pages_and_the_document_lie_below_the_path_of_the_public_url() {
    block_on(async {
        let setup = crate::support::app::Setup { public_url: "https://id.example.com/auth", ..Default::default() };
        let app = TestApp::start_as(Kind::Sqlite, setup).await;
        let document = app.get("/auth/openapi.json").send().await.json();
        assert_eq!(document["servers"][0]["url"], "/auth");
        assert_eq!(document["paths"]["/oauth2/token"]["servers"][1]["url"], "/auth/p/{provider_slug}");
        let index = app.get("/auth/docs").send().await.text();
        assert!(links(&index).iter().all(|link| link.starts_with("/auth/") || link.starts_with('#')));
    });
}
