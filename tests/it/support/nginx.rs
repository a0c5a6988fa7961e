//! Debian's nginx with `examples/nginx/api.conf` as it stands, only its addresses changed.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::client::Http;
use crate::support::process::until;

const PROGRAM: &str = "/usr/sbin/nginx";
const EXAMPLE: &str = "examples/nginx/api.conf";

/// Runs until its value ends.
pub struct Nginx {
    pub http: Http,
    child: Child,
    folder: TempDir,
}

impl Nginx {
    /// Before the API at `api`, asking grantd at `grantd`: both `127.0.0.1:<port>`.
    pub fn before(api: &str, grantd: &str) -> Self {
        assert!(Path::new(PROGRAM).exists(), "nginx is not installed: run ./scripts/system-packages.");
        let folder = tempfile::Builder::new().prefix("grantd-nginx-").tempdir().expect("no temporary folder");
        let own = format!("127.0.0.1:{}", free_port());
        let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLE)).expect(EXAMPLE);
        let changes = [("server 127.0.0.1:8080;", grantd), ("server 127.0.0.1:9000;", api), ("listen 8000;", &own)];
        let changed = changes.iter().fold(example, |text, (line, address)| {
            assert_eq!(text.matches(line).count(), 1, "the example has another `{line}`");
            let directive = line.split(' ').next().unwrap_or_default();
            text.replace(line, &format!("{directive} {address};"))
        });
        let place = folder.path().display();
        let around = format!(
            "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log {place}/log info;\n\
             events {{}}\n\
             http {{\n access_log off;\n client_body_temp_path {place}/a;\n proxy_temp_path {place}/b;\n \
             fastcgi_temp_path {place}/c;\n uwsgi_temp_path {place}/d;\n scgi_temp_path {place}/e;\n \
             include {place}/api.conf;\n}}\n"
        );
        fs::write(folder.path().join("api.conf"), changed).expect("no file");
        fs::write(folder.path().join("nginx.conf"), around).expect("no file");
        let mut nginx = Command::new(PROGRAM);
        nginx.arg("-c").arg(folder.path().join("nginx.conf")).arg("-p").arg(folder.path());
        let child = nginx.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut started = Self { http: Http::to(&format!("http://{own}")), child: child.expect("no nginx"), folder };
        until("nginx answers", Duration::from_secs(10), || {
            let ended = started.child.try_wait().expect("no child");
            assert!(ended.is_none(), "nginx ended ({ended:?}):\n{}", started.log());
            started.http.send("GET", "/_grantd", &[], None).is_ok()
        });
        started
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("-- nginx's log --\n{}", self.log());
        }
    }
}

/// Free when it was asked for.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("no port");
    listener.local_addr().expect("no address").port()
}
