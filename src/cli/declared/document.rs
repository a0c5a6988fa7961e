//! Reads a file: what is wanted, with the line of everything, and all slips at once.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::cli::declared::kinds::{BELOW, Kind, PROVIDER, WEBHOOK};
use crate::cli::declared::yaml::{Node, Tree, parse};
use crate::cli::output::one_line;

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
    pub lines: Lines,
}

/// Where a thing stands in the file, and its fields.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    pub first: usize,
    fields: HashMap<String, usize>,
}

impl Lines {
    /// A sentence of the API with its line: it begins with a field where it is about one, as `clients/0 …`.
    pub fn told(&self, sentence: &str) -> String {
        let field = sentence.split(['/', ' ']).next().and_then(|name| self.fields.get(name));
        format!("line {}: {sentence}", field.unwrap_or(&self.first))
    }
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
        Wanted { provider: self.item(own, &PROVIDER, line), sections }
    }

    fn items(&mut self, node: Node, kind: &'static Kind) -> Vec<Item> {
        let mut items = Vec::new();
        for node in self.list(node) {
            let line = node.line;
            let members = self.members(node, &format!("a {}", kind.noun));
            items.push(self.item(members, kind, line));
        }
        if kind.known_by.len() == 1 && kind.section != WEBHOOK.section {
            self.refuse_twins(kind, &items);
        }
        items
    }

    fn item(&mut self, members: Vec<(String, Node)>, kind: &Kind, line: usize) -> Item {
        let mut fields = Map::new();
        let mut lines = Lines { first: line, fields: HashMap::new() };
        for (name, node) in members {
            if let Some(field) = kind.fields.iter().find(|field| field.name == name) {
                let (value, shape) = (node.to_value(), field.shape());
                if !shape.fits(&value) {
                    self.slip(node.line, &format!("`{name}` must be {}", shape.name()));
                }
                lines.fields.insert(name.clone(), node.line);
                fields.insert(name, value);
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
        Item { fields, lines }
    }

    fn refuse_twins(&mut self, kind: &Kind, items: &[Item]) {
        let mut names = HashSet::new();
        for item in items {
            let name = kind.name_of(&item.fields);
            let said = one_line(&name);
            if !names.insert(name) {
                self.slip(item.lines.first, &format!("the {} {said} stands in the file twice", kind.noun));
            }
        }
    }

    fn unknown(&mut self, line: usize, name: &str, of: &str, known: &[&str]) {
        /// More of them help nobody.
        const MOST_TOLD: usize = 8;
        let near = known.iter().map(|known| (strsim::jaro(name, known), known));
        let nearest = near.filter(|(likeness, _)| *likeness > 0.7).max_by(|left, right| left.0.total_cmp(&right.0));
        let hint = match nearest {
            Some((_, known)) => format!("; did you mean `{known}`?"),
            None if known.len() <= MOST_TOLD => format!("; there are {}", known.join(", ")),
            None => String::new(),
        };
        self.slip(line, &format!("`{}` is no field of {of}{hint}", one_line(name)));
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
        assert!(told.contains("did you mean `clients`?"), "{told}");
        assert!(!told.contains("backchannel_logout_uri"), "a list of all fields helps nobody: {told}");
    }

    #[test]
    fn a_value_of_the_wrong_sort_is_told_with_its_line_and_reaches_no_terminal_as_a_command() {
        let text = "version: 1\nproviders:\n  - slug: a\n    access_token_ttl: soon\n    surfaces: runai\n    clients:\n      \
                    - client_id: \"x\\e[31m\"\n        enabled: \"yes\"\n        scope: null\n      - client_id: \"x\\e[31m\"\n        \
                    max_ttl: 1.5\n        subject: 7\n        audience: [1]\n";
        let told = read(text).unwrap_err();
        for says in [
            "line 4: `access_token_ttl` must be a whole number",
            "line 5: `surfaces` must be a list",
            "line 8: `enabled` must be true or false",
            "line 10: the client x\\u{1b}[31m stands in the file twice",
            "line 11: `max_ttl` must be a whole number",
            "line 12: `subject` must be text",
            "line 13: `audience` must be a list of texts",
        ] {
            assert!(told.contains(says), "no {says} in\n{told}");
        }
        assert!(!told.contains('\u{1b}') && !told.contains("scope"), "{told}");
    }

    #[test]
    fn a_sentence_about_a_field_has_the_line_of_the_field() {
        let text = "version: 1\nproviders:\n  - slug: a\n    clients:\n      - client_id: x\n        audience: [y]\n";
        let document = read(text).unwrap();
        let lines = &document.providers[0].sections[0].1[0].lines;
        assert_eq!(lines.told("audience/0 is wrong"), "line 6: audience/0 is wrong");
        assert_eq!(lines.told("There is none."), "line 5: There is none.");
    }
}
