//! `grantd healthcheck`: asks the server of this configuration for `/healthz`, for containers that
//! have no other program to do it.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::cli::CliError;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Fails unless the server answers 200.
pub fn run(listen: SocketAddr) -> Result<(), CliError> {
    let failed =
        |error: std::io::Error| CliError::Unhealthy(format!("the server at {listen} does not answer: {error}"));
    let mut stream = TcpStream::connect_timeout(&reachable(listen), TIMEOUT).map_err(failed)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").map_err(failed)?;
    let mut answer = Vec::new();
    stream.take(16 * 1024).read_to_end(&mut answer).map_err(failed)?;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(CliError::Unhealthy(format!("the server at {listen} is not well")))
}

/// A server that listens everywhere is reached on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let address = match listen.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        own => own,
    };
    SocketAddr::new(address, listen.port())
}
