//! Asks many questions at once and waits for what comes of them.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Endpoint, Outcome, Question, Service, message::Message, socket};

/// Askers at work at a time; each has a socket open for each of its questions.
const AT_ONCE: usize = 3;

/// A datagram without an answer is sent again after this.
const AGAIN: Duration = Duration::from_millis(150);

/// How long silence is listened to.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Where an answer is expected: a busy machine may be slow.
    pub for_answer: Duration,
    /// Where silence is.
    pub for_silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { for_answer: Duration::from_secs(5), for_silence: Duration::from_millis(500) }
    }
}

/// Asks every question; outcomes in the same order. `expects_answer` only says how long to wait.
pub fn ask(
    endpoints: &[Endpoint],
    questions: &[Question],
    patience: Patience,
    expects_answer: impl Fn(usize) -> bool + Sync,
) -> Result<Vec<Outcome>> {
    let mut outcomes = vec![Outcome::Silence; questions.len()];
    let mut by_asker: Vec<Vec<usize>> = vec![Vec::new(); endpoints.len()];
    for (place, question) in questions.iter().enumerate() {
        by_asker[question.asker].push(place);
    }
    let askers: Vec<(&Endpoint, Vec<usize>)> =
        endpoints.iter().zip(by_asker).filter(|(_, places)| !places.is_empty()).collect();
    for wave in askers.chunks(AT_ONCE) {
        let answered = thread::scope(|scope| {
            let threads: Vec<_> = wave
                .iter()
                .map(|(endpoint, places)| {
                    let expects_answer = &expects_answer;
                    scope.spawn(move || ask_all(endpoint, questions, places, patience, expects_answer))
                })
                .collect();
            threads.into_iter().map(join).collect::<Result<Vec<_>>>()
        })?;
        for (place, outcome) in answered.into_iter().flatten() {
            outcomes[place] = outcome;
        }
    }
    Ok(outcomes)
}

/// Asks one question and waits `patience` at most.
pub fn ask_one(endpoints: &[Endpoint], question: Question, patience: Duration) -> Result<Outcome> {
    let patience = Patience { for_answer: patience, for_silence: patience };
    let outcomes = ask(endpoints, &[question], patience, |_| true)?;
    outcomes.into_iter().next().context("a question without an outcome")
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn ask_all(
    endpoint: &Endpoint,
    questions: &[Question],
    places: &[usize],
    patience: Patience,
    expects_answer: &(impl Fn(usize) -> bool + Sync),
) -> Result<Vec<(usize, Outcome)>> {
    let mut open = endpoint.namespace.run(|| {
        places
            .iter()
            .map(|&place| {
                let deadline =
                    Instant::now() + if expects_answer(place) { patience.for_answer } else { patience.for_silence };
                Conversation::start(endpoint, place, questions[place], deadline)
            })
            .collect::<Result<Vec<_>>>()
    })?;
    let mut over = Vec::new();
    while !open.is_empty() {
        wait(&open)?;
        let now = Instant::now();
        open.retain_mut(|conversation| match conversation.go_on(now) {
            Some(outcome) => {
                over.push((conversation.place, outcome));
                false
            }
            None => true,
        });
    }
    Ok(over)
}

fn wait(open: &[Conversation]) -> Result<()> {
    let mut fds: Vec<PollFd<'_>> = open.iter().filter_map(Conversation::poll_fd).collect();
    poll(&mut fds, PollTimeout::from(20_u8)).context("cannot poll")?;
    Ok(())
}

struct Conversation {
    place: usize,
    message: Message,
    line: Line,
    deadline: Instant,
    said_at: Option<Instant>,
}

enum Line {
    NoWay,
    Connecting(TcpStream),
    Connected(TcpStream, Vec<u8>),
    Datagram(UdpSocket),
    Echo(UdpSocket, u8),
}

impl Conversation {
    fn start(endpoint: &Endpoint, place: usize, question: Question, deadline: Instant) -> Result<Self> {
        let Question { source, target, service, .. } = question;
        let line = match service {
            Service::Tcp(port) => match socket::tcp_connecting(source, SocketAddr::new(target, port))? {
                Some(stream) => Line::Connecting(stream),
                None => Line::NoWay,
            },
            Service::Udp(port) => {
                let socket = socket::udp(SocketAddr::new(source, 0))?;
                connected(socket, SocketAddr::new(target, port)).map_or(Line::NoWay, Line::Datagram)
            }
            Service::Echo => {
                let kind = if target.is_ipv4() { 8 } else { 128 };
                connected(socket::ping(source)?, SocketAddr::new(target, 0))
                    .map_or(Line::NoWay, |socket| Line::Echo(socket, kind))
            }
        };
        let message = Message { domain: endpoint.domain.clone(), name: endpoint.name.clone(), number: place as u64 };
        Ok(Self { place, message, line, deadline, said_at: None })
    }

    fn poll_fd(&self) -> Option<PollFd<'_>> {
        let (fd, flags): (BorrowedFd<'_>, _) = match &self.line {
            Line::NoWay => return None,
            Line::Connecting(stream) => (stream.as_fd(), PollFlags::POLLOUT),
            Line::Connected(stream, _) => (stream.as_fd(), PollFlags::POLLIN),
            Line::Datagram(socket) | Line::Echo(socket, _) => (socket.as_fd(), PollFlags::POLLIN),
        };
        Some(PollFd::new(fd, flags))
    }

    /// What came of it, once that is known.
    fn go_on(&mut self, now: Instant) -> Option<Outcome> {
        let outcome = match &mut self.line {
            Line::NoWay => Some(Outcome::Silence),
            Line::Connecting(_) => self.go_on_connecting(),
            Line::Connected(stream, heard) => hear_stream(stream, heard, self.message.number),
            Line::Datagram(_) | Line::Echo(..) => self.go_on_datagram(now),
        };
        outcome.or_else(|| (now >= self.deadline).then_some(Outcome::Silence))
    }

    fn go_on_connecting(&mut self) -> Option<Outcome> {
        let Line::Connecting(stream) = &mut self.line else {
            return None;
        };
        match stream.take_error() {
            Ok(None) => {}
            Ok(Some(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                return Some(Outcome::Refused);
            }
            _ => return Some(Outcome::Silence),
        }
        if stream.peer_addr().is_ok() {
            stream.write_all(&self.message.bytes()).ok()?;
            let stream = stream.try_clone().ok()?;
            self.line = Line::Connected(stream, Vec::new());
        }
        None
    }

    fn go_on_datagram(&mut self, now: Instant) -> Option<Outcome> {
        let (socket, header, packet) = match &self.line {
            Line::Datagram(socket) => (socket, 0, self.message.bytes()),
            Line::Echo(socket, kind) => {
                let mut packet = vec![*kind, 0, 0, 0, 0, 0, 0, 1];
                packet.extend(self.message.bytes());
                (socket, 8, packet)
            }
            _ => return None,
        };
        let mut buffer = [0; 2048];
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let answer = Message::read(buffer.get(header..length)?)?;
                return (answer.number == self.message.number).then(|| answered(answer));
            }
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                return Some(Outcome::Refused);
            }
            Err(_) => {}
        }
        if self.said_at.is_none_or(|said| now - said >= AGAIN) {
            // No route or no carrier is silence too, and it may yet come.
            let _ = socket.send(&packet);
            self.said_at = Some(now);
        }
        None
    }
}

fn connected(socket: UdpSocket, target: SocketAddr) -> Option<UdpSocket> {
    socket.connect(target).is_ok().then_some(socket)
}

fn hear_stream(stream: &mut TcpStream, heard: &mut Vec<u8>, number: u64) -> Option<Outcome> {
    let mut buffer = [0; 512];
    match stream.read(&mut buffer) {
        Ok(0) => Some(Outcome::Silence),
        Ok(length) => {
            heard.extend(&buffer[..length]);
            let answer = Message::read(heard)?;
            (answer.number == number).then(|| answered(answer))
        }
        Err(error) => (error.kind() != ErrorKind::WouldBlock).then_some(Outcome::Silence),
    }
}

fn answered(answer: Message) -> Outcome {
    Outcome::Answered { domain: answer.domain, name: answer.name }
}
