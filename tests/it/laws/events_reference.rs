//! `docs/events.md` lists the actions that there are.

use grantd::domain::actions::ACTIONS;

use crate::laws::root;

#[test]
fn the_list_of_actions_in_the_documentation_is_that_of_the_code() {
    let page = std::fs::read_to_string(root().join("docs/events.md")).unwrap();
    let list = page.split("### What there is").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let row = |line| str::strip_prefix(line, "| `")?.strip_suffix(" |")?.split_once("` | ");
    let rows: Vec<(&str, &str)> = list.lines().filter_map(row).collect();
    assert_eq!(rows, ACTIONS);
}
