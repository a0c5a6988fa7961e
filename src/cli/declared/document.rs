//! Reads a file: what is wanted, with the line of everything, and all slips at once.

use serde_json::{Map, Value};

use crate::cli::declared::kinds::{BELOW, Kind, PROVIDER, WEBHOOK};
use crate::cli::declared::yaml::{Node, Tree, parse};

/// What is wanted.
#[derive(Debug, Default)]
pub struct Document {
    pub providers: Vec<Wanted>,
    /// Of the whole installation; `None`: the file says nothing of them.
    pub webhooks: Option<Vec<Item>>,
}

/// A provider and what lies below it.
#[derive(Debug)]
pub struct Wanted {
    pub provider: Item,
    /// The sections that the file has, in the order of [`BELOW`].
    pub sections: Vec<(&'static Kind, Vec<Item>)>,
}

#[derive(Clone, Debug)]
pub struct Item {
    pub fields: Map<String, Value>,
    pub line: usize,
}

/// The version of the format.
pub const VERSION: i64 = 1;
const SECRETS: [&str; 4] = ["client_secret", "secret", "key", "password"];

/// The document, or what is wrong with it, a line each.
pub fn read(text: &str) -> Result<Document, String> {
    let root = parse(text)?;
    let mut reader = Reader { slips: Vec::new() };
    let document = reader.document(root);
    if reader.slips.is_empty() { Ok(document) } else { Err(reader.slips.join("\n")) }
}

struct Reader {
    slips: Vec<String>,
}

impl Reader {
    fn slip(&mut self, line: usize, what: &str) {
        self.slips.push(format!("line {line}: {what}"));
    }

    fn document(&mut self, root: Node) -> Document {
        let mut document = Document::default();
        let mut has_version = false;
        for (name, node) in self.members(root, "the file") {
            match name.as_str() {
                "version" => {
                    has_version = true;
                    if node.to_value() != VERSION {
                        self.slip(node.line, "this version of the format is not known: it must be 1");
                    }
                }
                "providers" => {
                    document.providers = self.list(node).into_iter().map(|node| self.provider(node)).collect();
                }
                "webhooks" => document.webhooks = Some(self.items(node, &WEBHOOK)),
                other => self.unknown(node.line, other, "the file", &["version", "providers", "webhooks"]),
            }
        }
        if !has_version {
            self.slips.push("the file must say `version: 1`".to_owned());
        }
        let all: Vec<Item> = document.providers.iter().map(|wanted| wanted.provider.clone()).collect();
        self.refuse_twins(&PROVIDER, &all);
        document
    }

    fn provider(&mut self, node: Node) -> Wanted {
        let line = node.line;
        let mut own = Vec::new();
        let mut sections: Vec<(&'static Kind, Vec<Item>)> = Vec::new();
        for (name, node) in self.members(node, "a provider") {
            match BELOW.iter().find(|kind| kind.section == name) {
                Some(kind) => sections.push((kind, self.items(node, kind))),
                None => own.push((name, node)),
            }
        }
        let place = |kind: &Kind| BELOW.iter().position(|one| one.section == kind.section);
        sections.sort_by_key(|(kind, _)| place(kind));
        let fields = self.fields(own, &PROVIDER, line);
        Wanted { provider: Item { fields, line }, sections }
    }

    fn items(&mut self, node: Node, kind: &'static Kind) -> Vec<Item> {
        let mut items = Vec::new();
        for node in self.list(node) {
            let line = node.line;
            let members = self.members(node, &format!("a {}", kind.noun));
            let fields = self.fields(members, kind, line);
            items.push(Item { fields, line });
        }
        if kind.known_by.len() == 1 && kind.section != WEBHOOK.section {
            self.refuse_twins(kind, &items);
        }
        items
    }

    fn fields(&mut self, members: Vec<(String, Node)>, kind: &Kind, line: usize) -> Map<String, Value> {
        let mut fields = Map::new();
        for (name, node) in members {
            if kind.fields.iter().any(|field| field.name == name) {
                fields.insert(name, node.to_value());
            } else if SECRETS.contains(&name.as_str()) {
                self.slip(node.line, &format!("`{name}`: secrets are never in the file"));
            } else {
                let mut known: Vec<&str> = kind.fields.iter().map(|field| field.name).collect();
                if kind.section == PROVIDER.section {
                    known.extend(BELOW.iter().map(|kind| kind.section));
                }
                self.unknown(node.line, &name, &format!("a {}", kind.noun), &known);
            }
        }
        // What it is called has no default.
        let first = kind.known_by.first().copied().unwrap_or_default();
        if !matches!(fields.get(first), Some(Value::String(text)) if !text.is_empty()) {
            self.slip(line, &format!("a {} needs `{first}`, as text", kind.noun));
        }
        fields
    }

    fn refuse_twins(&mut self, kind: &Kind, items: &[Item]) {
        for (at, item) in items.iter().enumerate() {
            let name = kind.name_of(&item.fields);
            if items.iter().take(at).any(|other| kind.name_of(&other.fields) == name) {
                self.slip(item.line, &format!("the {} {name} stands in the file twice", kind.noun));
            }
        }
    }

    fn unknown(&mut self, line: usize, name: &str, of: &str, known: &[&str]) {
        let name = name.escape_debug();
        self.slip(line, &format!("`{name}` is no field of {of}; there are {}", known.join(", ")));
    }

    fn members(&mut self, node: Node, what: &str) -> Vec<(String, Node)> {
        match node.value {
            Tree::Members(members) => members,
            _ => {
                self.slip(node.line, &format!("{what} must be a mapping of names to values"));
                Vec::new()
            }
        }
    }

    fn list(&mut self, node: Node) -> Vec<Node> {
        match node.value {
            Tree::List(items) => items,
            // `clients:` with nothing below it.
            Tree::Plain(Value::Null) => Vec::new(),
            _ => {
                self.slip(node.line, "must be a list");
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_come_in_the_order_in_which_they_are_made() {
        let text = "version: 1\nproviders:\n  - slug: a\n    trusted_issuers: []\n    clients:\n      - client_id: x\n    scopes:\n";
        let document = read(text).unwrap();
        let sections: Vec<_> = document.providers[0].sections.iter().map(|(kind, _)| kind.section).collect();
        assert_eq!(sections, ["scopes", "clients", "trusted_issuers"]);
        assert!(document.webhooks.is_none());
    }

    #[test]
    fn every_slip_is_told_with_its_line() {
        let text = "version: 2\nprovider: []\nproviders:\n  - slug: a\n    clints: []\n    clients:\n      - client_name: x\n      \
                    - client_id: y\n        client_secret: s\n        foo: 1\n      - client_id: y\n    scopes: {}\n  - slug: a\n  - 7\n";
        let told = read(text).unwrap_err();
        for says in [
            "line 1: this version",
            "line 2: `provider` is no field of the file",
            "line 5: `clints` is no field of a provider",
            "line 7: a client needs `client_id`",
            "line 9: `client_secret`: secrets are never",
            "line 10: `foo` is no field of a client",
            "line 11: the client y stands in the file twice",
            "line 12: must be a list",
            "line 13: the provider a stands in the file twice",
            "line 14: a provider must be a mapping",
        ] {
            assert!(told.contains(says), "no {says} in\n{told}");
        }
        assert!(read("providers: []\n").unwrap_err().contains("version: 1"));
    }
}
