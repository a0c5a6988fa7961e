//! `docs/events.md` lists the actions that there are.

use grantd::domain::actions::ACTIONS;

use crate::laws::root;

#[test]
fn the_list_of_actions_in_the_documentation_is_that_of_the_code() {
    let page = std::fs::read_to_string(root().join("docs/events.md")).unwrap();
    let rows: Vec<(&str, &str)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |")?.split_once("` | "))
        .filter(|(action, _)| action.contains('.'))
        .collect();
    assert_eq!(rows, ACTIONS);
}
