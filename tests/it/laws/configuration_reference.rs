//! `docs/configuration.md` says what the code says.

use crate::laws::root;

const COMMAND: &str = "cargo test --test it write_the_configuration_reference -- --ignored";

#[test]
fn the_configuration_reference_is_current() {
    let written = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap_or_default();
    assert!(
        written == grantd::config::reference(),
        "docs/configuration.md is not current; write it anew with: {COMMAND}"
    );
}

#[test]
fn the_reference_names_the_command_that_writes_it() {
    let reference = grantd::config::reference();
    assert!(reference.contains(COMMAND));
    for key in grantd::config::Settings::describe() {
        assert!(reference.contains(&format!("| `{}` | `{}` |", key.name, key.variable())), "{}", key.name);
    }
}

#[test]
#[ignore = "writes docs/configuration.md"]
fn write_the_configuration_reference() {
    std::fs::write(root().join("docs/configuration.md"), grantd::config::reference()).unwrap();
}
