//! Domains on real servers: what the `Host` of a connection selects, and how soon another node knows.

use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::client::{Http, read_to_end};
use crate::support::databases::Kind;
use crate::support::dns::dns;
use crate::support::process::{Home, until};

const SOON: Duration = Duration::from_secs(1);
const NAME: &str = "login.process.example";

/// The issuer that the metadata states, asked with these `Host` lines.
fn issuer(http: &Http, target: &str, hosts: &[&str]) -> Option<String> {
    let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
    let mut stream = http.connect();
    let request = format!("GET {target} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let answer = read_to_end(stream);
    let (_head, body) = answer.split_once("\r\n\r\n")?;
    let metadata: Value = serde_json::from_str(body).ok()?;
    metadata["issuer"].as_str().map(str::to_owned)
}

#[test]
fn a_domain_that_one_server_verifies_or_ends_another_serves_or_not_within_a_second() {
    const METADATA: &str = "/.well-known/openid-configuration";
    let home = Home::on(Kind::Postgres)
        .with("GRANTD_PUBLIC_URL", "https://id.process.example")
        .with("GRANTD_DNS__RESOLVER", &dns().address.to_string())
        .with("GRANTD_SURFACES__RUNAI__HOST", "runai.process.example");
    let (one, two) = (home.serve(), home.serve());
    let (here, there) = (Api::of(&home, &one), Api::of(&home, &two));
    let own = Some(format!("https://{NAME}"));
    let public = Some("https://id.process.example".to_owned());

    here.post("/providers", &json!({"slug": "acme"})).expect(201);
    for taken in ["id.process.example", "runai.process.example"] {
        here.post("/providers/acme/domains", &json!({"domain": taken})).expect(422);
    }
    let domain = here.post("/providers/acme/domains", &json!({"domain": NAME})).expect(201).json();
    let path = format!("/providers/acme/domains/{}", domain["id"].as_str().unwrap());
    let record = &domain["dns_record"];
    let proof = here.call("POST", &format!("{path}/verify"), &[], None).expect(200).json();
    assert_eq!((&proof["verified"], issuer(&one.http, METADATA, &[NAME])), (&json!(false), public.clone()));
    dns().says(record["name"].as_str().unwrap(), record["value"].as_str().unwrap());
    let proof = here.call("POST", &format!("{path}/verify"), &[], None).expect(200).json();
    assert_eq!(proof["verified"], json!(true), "{proof}");
    assert_eq!(issuer(&one.http, METADATA, &[NAME]), own, "here at once");
    until("the domain is served there", SOON, || issuer(&two.http, METADATA, &[NAME]) == own);

    assert_eq!(issuer(&one.http, METADATA, &["LOGIN.process.example:8443"]), own);
    for hosts in [
        &["id.process.example"][..],
        &["127.0.0.1"],
        &["x.login.process.example"],
        &[NAME, NAME],
        &[NAME, "id.process.example"],
    ] {
        let said = issuer(&one.http, METADATA, hosts);
        assert!(said == public || (hosts.len() > 1 && said.is_none()), "{hosts:?}: {said:?}");
    }

    there.call("DELETE", &path, &[], None).expect(204);
    assert_eq!(issuer(&two.http, METADATA, &[NAME]), public, "at once where it was ended");
    until("the domain is served no more", SOON, || issuer(&one.http, METADATA, &[NAME]) == public);
}
