//! Features of dependencies that change what grantd reads. Cargo unites them: one crate that asks for a feature
//! switches it on for all.

use std::process::Command;

use serde_json::Value;

use crate::laws::root;

/// With either, serde_json takes an object with a magic member for a value: whoever writes JSON that grantd
/// reads could say `true`, a number or text by an object, past every check of kinds.
const REFUSED: [&str; 2] = ["raw_value", "arbitrary_precision"];

/// Every line of `cargo tree` is a package, its version and its features.
fn refused(tree: &str) -> Vec<&str> {
    let lines = tree.lines().filter(|line| line.starts_with("serde_json "));
    lines.filter(|line| REFUSED.iter().any(|feature| line.contains(feature))).collect()
}

#[test]
fn json_is_read_without_magic_members() {
    let run = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--edges", "normal,build,dev"])
        .args(["--prefix", "none", "--format", "{p} {f}"])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(run.stdout).unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    assert!(tree.lines().any(|line| line.starts_with("serde_json v1") && line.contains("std")), "{tree}");
    assert_eq!(refused(&tree), Vec::<&str>::new(), "find who asks for it with: cargo tree -e features -i serde_json");
    assert_eq!(refused("serde_json v1.0.1 default,raw_value,std\nserde v1 derive").len(), 1);
}

/// As this very binary was linked.
#[test]
fn an_object_with_a_magic_member_is_an_object() {
    for name in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
        let text = format!(r#"{{"{name}":"1"}}"#);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value.get(name), Some(&Value::String("1".to_owned())), "{value}");
        assert!(serde_json::from_str::<serde_json::Number>(&text).is_err(), "{text}");
        assert!(serde_json::from_str::<bool>(&format!(r#"{{"{name}":"true"}}"#)).is_err());
    }
}
