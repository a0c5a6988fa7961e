//! What is done when this process ends, however it ends: statics are never dropped, and `kill -9`
//! asks nobody.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// The shell that waits. Its standard input closes with this process.
pub struct AtEnd {
    _watcher: Child,
}

/// Runs the shell script when this process is gone. In a process group of its own, so that Ctrl-C
/// in the terminal does not end the shell first.
pub fn at_end(script: &str) -> AtEnd {
    let shell = Command::new("sh")
        .args(["-c", &format!("read _; {script}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .process_group(0)
        .spawn();
    AtEnd { _watcher: shell.expect("cannot start sh") }
}
