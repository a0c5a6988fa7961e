//! The tree of everything that is mounted. Actix tries the patterns of a list one after the other, and a
//! pattern with a variable costs a regular expression. So resources are grouped by their first segments:
//! a request is compared with the prefixes on its way and with the few patterns below the last one.
//!
//! Grouping changes nothing of what matches. A list is split only where no path can match in two groups,
//! and the order within a group is the order of mounting.

use actix_web::dev::ResourceDef;
use actix_web::{Resource, web};

/// A resource that waits to be mounted.
pub struct Mount {
    /// From the root of the server on.
    pattern: String,
    /// Makes the resource; it takes the rest of the pattern that no scope above has matched.
    make: Box<dyn FnOnce(&str) -> Resource>,
}

impl Mount {
    pub fn new(pattern: impl Into<String>, make: impl FnOnce(&str) -> Resource + 'static) -> Self {
        Self { pattern: pattern.into(), make: Box::new(make) }
    }

    /// The same below a path.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        self.pattern.insert_str(0, prefix);
        self
    }
}

/// What is mounted, in the order in which it is tried.
pub struct RouteTree(Vec<Node>);

enum Node {
    Resource(Mount),
    /// Everything below one prefix.
    Scope(String, Vec<Node>),
}

impl RouteTree {
    /// Earlier ones are tried first.
    pub fn new(mounts: impl IntoIterator<Item = Mount>) -> Self {
        Self(grouped(mounts.into_iter().collect()))
    }

    pub fn mount(self, config: &mut web::ServiceConfig) {
        for node in self.0 {
            node.mount(config);
        }
    }

    /// How many patterns are tried for a path, up to the one that matches; all on its way if none does.
    /// Guards do not count: a pattern whose guard refuses has been tried all the same.
    pub fn tried(&self, path: &str) -> usize {
        let mut count = 0;
        let _ = find(&self.0, path, &mut count);
        count
    }

    /// Every pattern that is mounted.
    pub fn patterns(&self) -> Vec<String> {
        let mut all = Vec::new();
        collect(&self.0, "", &mut all);
        all
    }
}

impl Node {
    fn mount(self, config: &mut web::ServiceConfig) {
        match self {
            Self::Resource(mount) => {
                config.service((mount.make)(&mount.pattern));
            }
            Self::Scope(prefix, below) => {
                // Without a default service of its own: an unknown path goes to that of the application.
                config.service(web::scope(&prefix).configure(|config| RouteTree(below).mount(config)));
            }
        }
    }
}

/// Splits a list by first segment, and each part again.
fn grouped(mounts: Vec<Mount>) -> Vec<Node> {
    if !is_separable(&mounts) {
        return mounts.into_iter().map(Node::Resource).collect();
    }
    let mut groups: Vec<(String, Vec<Mount>)> = Vec::new();
    for mount in mounts {
        let segment = first_segment(&mount.pattern);
        match groups.iter_mut().find(|(own, _)| own == segment) {
            Some((_, members)) => members.push(mount),
            None => groups.push((segment.to_owned(), vec![mount])),
        }
    }
    groups.into_iter().flat_map(|(segment, members)| node_of(segment, members)).collect()
}

fn node_of(segment: String, mut members: Vec<Mount>) -> Vec<Node> {
    if segment.is_empty() || members.len() < 2 {
        return members.into_iter().map(Node::Resource).collect();
    }
    for member in &mut members {
        member.pattern.drain(..segment.len());
    }
    let mut below = grouped(members);
    // `/admin` with nothing but `/v1` below becomes one prefix; a variable stays apart, because it
    // would make the whole prefix a regular expression.
    if !is_variable(&segment)
        && let [Node::Scope(next, _)] = below.as_slice()
        && !is_variable(next)
        && let Some(Node::Scope(next, deeper)) = below.pop()
    {
        return vec![Node::Scope(segment + &next, deeper)];
    }
    vec![Node::Scope(segment, below)]
}

/// Whether no path can match in two groups: all first segments are literal, or all are the same variable.
/// The empty pattern matches the empty rest only, so it may stand beside either.
fn is_separable(mounts: &[Mount]) -> bool {
    let mut segments = mounts.iter().map(|mount| first_segment(&mount.pattern)).filter(|segment| !segment.is_empty());
    let Some(first) = segments.next() else { return false };
    let is_whole_variable =
        |segment: &str| segment.starts_with("/{") && segment.ends_with('}') && !segment.contains(':');
    if is_variable(first) {
        return is_whole_variable(first) && segments.all(|segment| segment == first);
    }
    segments.all(|segment| !is_variable(segment))
}

/// `/a/b` → `/a`. A pattern's variables have no slash in them.
fn first_segment(pattern: &str) -> &str {
    let Some(rest) = pattern.strip_prefix('/') else { return "" };
    rest.find('/').and_then(|slash| pattern.get(..=slash)).unwrap_or(pattern)
}

fn is_variable(segment: &str) -> bool {
    segment.contains('{')
}

fn find(nodes: &[Node], path: &str, count: &mut usize) -> bool {
    for node in nodes {
        *count += 1;
        match node {
            Node::Resource(mount) if ResourceDef::new(mount.pattern.as_str()).is_match(path) => return true,
            Node::Resource(_) => {}
            Node::Scope(prefix, below) => {
                if let Some(matched) = ResourceDef::prefix(prefix.as_str()).find_match(path) {
                    return find(below, path.get(matched..).unwrap_or_default(), count);
                }
            }
        }
    }
    false
}

fn collect(nodes: &[Node], above: &str, all: &mut Vec<String>) {
    for node in nodes {
        match node {
            Node::Resource(mount) => all.push(format!("{above}{}", mount.pattern)),
            Node::Scope(prefix, below) => collect(below, &format!("{above}{prefix}"), all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(patterns: &[&str]) -> RouteTree {
        RouteTree::new(patterns.iter().map(|pattern| Mount::new(*pattern, |rest| web::resource(rest))))
    }

    fn shown(nodes: &[Node]) -> String {
        let each = nodes.iter().map(|node| match node {
            Node::Resource(mount) => mount.pattern.clone(),
            Node::Scope(prefix, below) => format!("{prefix}[{}]", shown(below)),
        });
        each.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn resources_are_grouped_by_first_segments_that_exclude_each_other() {
        for (patterns, expected) in [
            (&["/a", "/b"][..], "/a /b"),
            (&["/a/x", "/b", "/a/y", "/a"][..], "/a[/x /y ] /b"),
            (&["/a/v1/x", "/a/v1/y"][..], "/a/v1[/x /y]"),
            (&["/p/{id}/x", "/p/{id}/y", "/p/{id}"][..], "/p[/{id}[/x /y ]]"),
            // A path below `x` would never come to `{id}` again.
            (&["/p/x/1", "/p/x/2", "/p/{id}/3", "/p/{id}"][..], "/p[/x/1 /x/2 /{id}/3 /{id}]"),
            (&["/p/{id}/x", "/p/{name}/y"][..], "/p[/{id}/x /{name}/y]"),
            (&["/f", "/f/{below}*"][..], "/f[ /{below}*]"),
            (&["/f/{below}*", "/f/{below}*"][..], "/f[/{below}* /{below}*]"),
            (&["/p/x{id}/1", "/p/x{id}/2"][..], "/p[/x{id}/1 /x{id}/2]"),
        ] {
            let tree = tree(patterns);
            assert_eq!(shown(&tree.0), expected);
            let mut all = tree.patterns();
            all.sort();
            let mut given = patterns.to_vec();
            given.sort_unstable();
            assert_eq!(all, given, "nothing is lost");
        }
    }

    #[test]
    fn the_patterns_on_the_way_are_counted() {
        let tree = tree(&["/a/x", "/a/y", "/p/{id}/x", "/p/{id}/y", "/z"]);
        for (path, expected) in
            [("/a/x", 2), ("/a/y", 3), ("/p/1/y", 5), ("/z", 3), ("/a/z", 3), ("/none", 3), ("/p/1", 5)]
        {
            assert_eq!(tree.tried(path), expected, "{path}");
        }
    }
}
