//! The pages in process: headers and cookies, forms and their tokens, what is escaped, what another
//! site, another browser or another provider cannot do. What the pages lead to is `authorize/`'s; how
//! they look in a real browser is `process/browser.rs`'s.

mod account;
mod cookies;
mod errors;
mod escaping;
mod forms;
mod headers;
mod logout;

use crate::support::http::Answer;

/// The value of a form's token.
fn token_of(page: &Answer, form: &str) -> String {
    let text = page.text();
    let form = text.split(&format!("id=\"{form}\"")).nth(1).unwrap_or_else(|| panic!("no form {form}: {text}"));
    let token = form.split("name=\"token\" value=\"").nth(1).expect("a token");
    token.split('"').next().unwrap().to_owned()
}

/// The value of the field `flow`.
fn flow_of(page: &Answer) -> String {
    let text = page.text();
    let flow = text.split("name=\"flow\" value=\"").nth(1).unwrap_or_else(|| panic!("no flow: {text}"));
    flow.split('"').next().unwrap().to_owned()
}

/// A directive of the page's policy.
fn directive(page: &Answer, name: &str) -> String {
    let policy = page.header("content-security-policy").to_owned();
    let found = policy.split("; ").find_map(|part| part.strip_prefix(&format!("{name} ")).map(str::to_owned));
    found.unwrap_or_default()
}
