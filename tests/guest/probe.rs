//! What a guest does once it has addresses: waits for bytes, or sends them. One file and the standard library alone, so
//! that `rustc` makes a static program of it.
//!
//! ```text
//! probe serve PEER4 PEER6 PORT REFUSED BYTES
//! probe send  PEER4 PEER6 PORT REFUSED BYTES
//! ```
//!
//! The bytes are a count in words of 8, so that each says where it stands: one that is lost, doubled or changed is seen.

use std::{
    env,
    error::Error,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    thread,
    time::{Duration, Instant},
};

const BLOCK: usize = 1 << 18;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    if let Err(error) = run() {
        println!("rf: failed: {error}");
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [task, peer4, peer6, port, refused, bytes] = words.as_slice() else { return Err("what to do?".into()) };
    let peers: [IpAddr; 2] = [peer4.parse()?, peer6.parse()?];
    let (port, refused, bytes): (u16, u16, u64) = (port.parse()?, refused.parse()?, bytes.parse()?);
    match task.as_str() {
        "serve" => serve(port, bytes),
        "send" => send(peers, port, refused, bytes),
        other => Err(format!("what is {other}?").into()),
    }
}

/// Half of the bytes come by each family.
fn serve(port: u16, bytes: u64) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("::", port))?;
    println!("rf: listening");
    for _ in 0..2 {
        let (mut stream, from) = listener.accept()?;
        let mut block = vec![0; BLOCK];
        let mut received = 0;
        loop {
            let length = fill(&mut stream, &mut block)?;
            for (place, word) in block[..length].chunks_exact(8).enumerate() {
                let expected = received + place as u64 * 8;
                if word != expected.to_be_bytes() {
                    return Err(format!("byte {expected} from {from} is not what was sent").into());
                }
            }
            received += length as u64;
            if length < block.len() {
                break;
            }
        }
        if received != bytes / 2 {
            return Err(format!("{received} bytes from {from}, not {}", bytes / 2).into());
        }
        println!("rf: received {received} from {}", from.ip().to_canonical());
        stream.write_all(b"all there")?;
    }
    Ok(())
}

fn send(peers: [IpAddr; 2], port: u16, refused: u16, bytes: u64) -> Result<(), Box<dyn Error>> {
    for peer in peers {
        let mut stream = connect(SocketAddr::new(peer, port))?;
        let ping = Command::new("ping").args(["-c", "3", "-W", "5", &peer.to_string()]).output()?;
        println!("rf: ping {peer} {}", if ping.status.success() { "answered" } else { "unanswered" });
        let start = Instant::now();
        let mut block = vec![0; BLOCK];
        let mut sent = 0;
        while sent < bytes / 2 {
            let length = BLOCK.min((bytes / 2 - sent) as usize);
            for (place, word) in block[..length].chunks_exact_mut(8).enumerate() {
                word.copy_from_slice(&(sent + place as u64 * 8).to_be_bytes());
            }
            stream.write_all(&block[..length])?;
            sent += length as u64;
        }
        stream.shutdown(std::net::Shutdown::Write)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        println!("rf: sent {sent} to {peer} in {:.1} s: {answer}", start.elapsed().as_secs_f64());
        let shut = TcpStream::connect_timeout(&SocketAddr::new(peer, refused), Duration::from_secs(2));
        println!("rf: port {refused} of {peer} {}", shut.map_or_else(|error| error.kind().to_string(), |_| "open".into()));
    }
    Ok(())
}

/// The peer boots as slowly as we do.
fn connect(peer: SocketAddr) -> Result<TcpStream, Box<dyn Error>> {
    let start = Instant::now();
    loop {
        match TcpStream::connect_timeout(&peer, Duration::from_secs(2)) {
            Ok(stream) => return Ok(stream),
            Err(error) if start.elapsed() > PATIENCE => return Err(format!("no way to {peer}: {error}").into()),
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// As many bytes as there are, up to all; less only at the end.
fn fill(stream: &mut TcpStream, block: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match stream.read(&mut block[filled..])? {
            0 => break,
            length => filled += length,
        }
    }
    Ok(filled)
}
