//! The examples for gateways that are not run here are read.

use std::fs;
use std::path::Path;

fn example(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)).expect("no such example")
}

/// `X-Auth-Subject` and the others with every `-` as it is or as `_`.
fn spellings() -> Vec<String> {
    ["Subject", "Client", "Scope", "Token-Id"]
        .iter()
        .flat_map(|last| {
            let name = format!("X-Auth-{last}");
            let dashes: Vec<usize> = name.match_indices('-').map(|(at, _)| at).collect();
            (0..1_usize << dashes.len()).map(move |choice| {
                let folded =
                    |at: usize| dashes.iter().position(|dash| *dash == at).is_some_and(|n| choice >> n & 1 == 1);
                name.char_indices().map(|(at, c)| if folded(at) { '_' } else { c }).collect()
            })
        })
        .collect()
}

#[test]
fn the_example_for_traefik_strips_every_spelling() {
    let example = example("traefik/dynamic.yml");
    for name in spellings() {
        let line = format!("          {name}: \"\"");
        assert!(example.lines().any(|own| own == line), "{name}");
    }
}
