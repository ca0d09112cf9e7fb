//! What questions and answers say: `ringfence DOMAIN NAME NUMBER`, one line.

use std::fmt;

const WORD: &str = "ringfence";

/// Who sends it, and the number that pairs an answer with its question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `tenant/domain` of the sender.
    pub domain: String,
    /// The sender's name.
    pub name: String,
    /// An answer bears its question's.
    pub number: u64,
}

impl Message {
    /// Reads the last whole line of a payload: an echo answer repeats the question before it.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(payload).ok()?.strip_suffix('\n')?;
        let mut words = text.rsplit('\n').next()?.split(' ');
        if words.next()? != WORD {
            return None;
        }
        Some(Self {
            domain: words.next()?.to_owned(),
            name: words.next()?.to_owned(),
            number: words.next()?.parse().ok()?,
        })
    }

    /// The bytes to send.
    pub fn bytes(&self) -> Vec<u8> {
        format!("{self}\n").into_bytes()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WORD} {} {} {}", self.domain, self.name, self.number)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn message(name: &str) -> Message {
        Message { domain: "acme/prod".into(), name: name.into(), number: 7 }
    }

    #[test]
    fn an_echo_answer_names_the_answerer_and_not_the_asker() {
        let payload = [message("asker").bytes(), message("answerer").bytes()].concat();
        assert_eq!(Message::read(&payload).unwrap(), message("answerer"));
    }

    #[test]
    fn half_a_line_is_no_message() {
        let bytes = message("web-1").bytes();
        assert_eq!(Message::read(&bytes[..bytes.len() - 1]), None);
    }
}
