//! What things may be called.

/// The longest name of an object or a part of a domain's name: a DNS label, RFC 1035 2.3.4.
const NAME_MAX: usize = 63;

/// The longest label value or key.
const LABEL_MAX: usize = 63;

/// The longest device name: `IFNAMSIZ` less its terminating zero.
const DEVICE_MAX: usize = 15;

/// Names that mean something already (DESIGN 11.8).
const RESERVED: [&str; 3] = ["default", "quarantine", "*"];

/// A name that cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// No characters.
    #[error("is empty: give it a name")]
    Empty,
    /// Too many characters.
    #[error("{0:?} is longer than {1} characters: shorten it")]
    TooLong(String, usize),
    /// It has a meaning of its own.
    #[error("{0:?} is reserved: choose another name")]
    Reserved(String),
    /// Characters that names do not have.
    #[error(
        "{0:?} is no name: write lower-case letters, digits and hyphens, \
         beginning and ending with a letter or digit"
    )]
    Malformed(String),
    /// It begins as a number does.
    #[error("{0:?} is no name of a port: begin it with a letter")]
    NotAPortName(String),
    /// Not two parts.
    #[error("{0:?} is no domain name: write TENANT/DOMAIN")]
    NotADomain(String),
    /// Not a name that a network device can have.
    #[error(
        "{0:?} is no device name: write 1 to 15 letters, digits, `.`, `_` and `-`, \
         and not `.`, `..` or `lo`"
    )]
    NotADevice(String),
    /// Characters that labels do not have.
    #[error("{0:?} is no label {1}: write letters, digits, `-`, `_`, `.` and `/`")]
    NotALabel(String, &'static str),
}

/// Whether a part of a policy (a rule, an interface) may be called this.
pub(crate) fn check_part(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > NAME_MAX {
        return Err(NameError::TooLong(name.into(), NAME_MAX));
    }
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if !name.bytes().all(inner) || name.starts_with('-') || name.ends_with('-') {
        return Err(NameError::Malformed(name.into()));
    }
    Ok(())
}

/// Whether a port may be called this: a part's name that begins with a letter, so that it is no number.
pub(super) fn check_port_name(name: &str) -> Result<(), NameError> {
    check_part(name)?;
    match name.starts_with(|c: char| c.is_ascii_lowercase()) {
        true => Ok(()),
        false => Err(NameError::NotAPortName(name.into())),
    }
}

/// Whether an object may be called this.
pub(crate) fn check_object(name: &str) -> Result<(), NameError> {
    if RESERVED.contains(&name) {
        return Err(NameError::Reserved(name.into()));
    }
    check_part(name)
}

/// The tenant's and the domain's part of `tenant/domain`.
pub(crate) fn split_domain(name: &str) -> Result<(&str, &str), NameError> {
    if RESERVED.contains(&name) {
        return Err(NameError::Reserved(name.into()));
    }
    let (tenant, domain) = name
        .split_once('/')
        .filter(|(_, domain)| !domain.contains('/'))
        .ok_or_else(|| NameError::NotADomain(name.into()))?;
    check_object(tenant)?;
    check_object(domain)?;
    Ok((tenant, domain))
}

/// Whether a host may be called this: labels joined by dots, as hosts call themselves.
///
/// # Errors
/// An empty name, or a label that no name can be.
pub fn check_host(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    name.split('.').try_for_each(|label| {
        check_part(label).map_err(|error| match error {
            NameError::TooLong(..) => error,
            _ => NameError::Malformed(name.into()),
        })
    })
}

/// Whether a device may be called this: less than the kernel allows, whose `%` is a pattern when a device is made
/// and whose other signs mean something to the tools; and none that every host has.
pub(super) fn check_device(name: &str) -> Result<(), NameError> {
    let fits = (1..=DEVICE_MAX).contains(&name.len());
    let clean = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if fits && clean && ![".", "..", "lo"].contains(&name) { Ok(()) } else { Err(NameError::NotADevice(name.into())) }
}

/// Whether a label's key can be this.
pub(super) fn check_label_key(key: &str) -> Result<(), NameError> {
    if key.is_empty() {
        return Err(NameError::Empty);
    }
    check_label_text(key, "key")
}

/// Whether a label's value can be this; it may be empty.
pub(super) fn check_label_value(value: &str) -> Result<(), NameError> {
    check_label_text(value, "value")
}

fn check_label_text(text: &str, what: &'static str) -> Result<(), NameError> {
    if text.len() > LABEL_MAX {
        return Err(NameError::TooLong(text.into(), LABEL_MAX));
    }
    let known = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if text.chars().all(known) { Ok(()) } else { Err(NameError::NotALabel(text.into(), what)) }
}
