//! Settings of a daemon, in layers: a flag wins over the environment, that over the file, that over the default.
//!
//! Reading one never fails on its own: what is wrong is collected, and [`Settings::finish`] tells all of it at once, so that an operator
//! mends a file in one go. The caller brings the texts; nothing here reads a file or the environment.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crate::text::{SourceFile, TextError, flat};

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {key}: {message}")]
pub struct SettingError {
    /// Where it was given: `flag or environment`, or file, line and column.
    pub origin: String,
    /// The setting.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Everything wrong with the settings, one to a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingErrors(pub Vec<SettingError>);

/// The layers, and what was found wrong in them so far.
#[derive(Debug)]
pub struct Settings {
    /// What the names of its environment variables begin with.
    prefix: &'static str,
    given: BTreeMap<&'static str, Vec<String>>,
    /// Place and values; without values: of those there the operator is told already.
    file: BTreeMap<String, (String, Option<Vec<String>>)>,
    known: Vec<&'static str>,
    errors: Vec<SettingError>,
}

const GIVEN: &str = "flag or environment";

// === impl SettingErrors ===

impl fmt::Display for SettingErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingErrors {}

// === impl Settings ===

impl Settings {
    /// Settings from what flags and environment gave: a setting they did not name is absent or has an empty list.
    /// `prefix` and `_` begin the names of the environment variables.
    pub fn new(prefix: &'static str, given: BTreeMap<&'static str, Vec<String>>) -> Self {
        Self { prefix, given, file: BTreeMap::new(), known: Vec::new(), errors: Vec::new() }
    }

    /// Adds the file: a YAML mapping of setting to scalar or list of scalars.
    #[must_use]
    pub fn with_file(mut self, name: &str, text: &str) -> Self {
        let (pairs, errors) = flat::parse(&SourceFile { name: name.to_owned(), text: text.to_owned() });
        self.file = pairs.into_iter().map(|pair| (pair.key, (pair.location.to_string(), pair.values))).collect();
        self.errors.extend(errors.into_iter().map(|TextError { location, field, message, .. }| SettingError {
            origin: location.to_string(),
            key: if field.is_empty() { "(file)".to_owned() } else { field },
            message,
        }));
        self
    }

    /// One value, if it is given.
    pub fn optional<T: FromStr<Err: fmt::Display>>(&mut self, key: &'static str) -> Option<T> {
        let (origin, values) = self.find(key)?;
        match values.as_slice() {
            [value] => self.parse(&origin, key, value),
            _ => {
                self.push(&origin, key, "takes one value".to_owned());
                None
            }
        }
    }

    /// One value, or this one where none is given.
    pub fn or<T: FromStr<Err: fmt::Display>>(&mut self, key: &'static str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// One value that must be given; `None` only when that was wrong and is noted.
    pub fn required<T: FromStr<Err: fmt::Display>>(&mut self, key: &'static str) -> Option<T> {
        let noted = self.errors.len();
        let value = self.optional(key);
        if value.is_none() {
            self.note_missing(key, noted);
        }
        value
    }

    /// Every value given, by the first layer that gives any.
    pub fn list<T: FromStr<Err: fmt::Display>>(&mut self, key: &'static str) -> Vec<T> {
        let Some((origin, values)) = self.find(key) else {
            return Vec::new();
        };
        values.iter().filter_map(|value| self.parse(&origin, key, value)).collect()
    }

    /// Every value given, where there must be one; empty only when that was wrong and is noted.
    pub fn required_list<T: FromStr<Err: fmt::Display>>(&mut self, key: &'static str) -> Vec<T> {
        let noted = self.errors.len();
        let values = self.list(key);
        if values.is_empty() {
            self.note_missing(key, noted);
        }
        values
    }

    /// Notes an error that only the caller can see: values that contradict each other, say.
    pub fn refuse(&mut self, key: &'static str, message: impl Into<String>) {
        let origin = self.find(key).map_or_else(|| "settings".to_owned(), |(origin, _)| origin);
        self.push(&origin, key, message.into());
    }

    /// All that is wrong, including settings of the file that nobody read.
    pub fn finish(mut self) -> Result<(), SettingErrors> {
        for (key, (origin, _)) in self.file {
            if !self.known.contains(&key.as_str()) {
                let message = format!("is no setting; there are: {}", self.known.join(", "));
                self.errors.push(SettingError { origin, key, message });
            }
        }
        if self.errors.is_empty() { Ok(()) } else { Err(SettingErrors(self.errors)) }
    }

    /// Notes that a setting is missing, unless what is wrong with it was noted: with the file, or since there were `noted` errors.
    fn note_missing(&mut self, key: &'static str, noted: usize) {
        if self.errors.len() > noted || matches!(self.file.get(key), Some((_, None))) {
            return;
        }
        let environment = format!("{}_{}", self.prefix, key.replace('-', "_").to_uppercase());
        let message = format!(
            "is missing: give --{key}, the environment variable {environment}, or `{key}:` in the configuration file"
        );
        self.refuse(key, message);
    }

    fn find(&mut self, key: &'static str) -> Option<(String, Vec<String>)> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        if let Some(values) = self.given.get(key).filter(|values| !values.is_empty()) {
            return Some((GIVEN.to_owned(), values.clone()));
        }
        let (origin, values) = self.file.get(key)?;
        Some((origin.clone(), values.clone()?))
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&mut self, origin: &str, key: &str, value: &str) -> Option<T> {
        if value.is_empty() {
            self.push(origin, key, "is empty: give it a value, or leave it out".to_owned());
            return None;
        }
        match value.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.push(origin, key, format!("{value:?} cannot be used: {error}"));
                None
            }
        }
    }

    fn push(&mut self, origin: &str, key: &str, message: String) {
        self.errors.push(SettingError { origin: origin.to_owned(), key: key.to_owned(), message });
    }
}

/// A length of time as operators write it: `500ms`, `5s`, `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub std::time::Duration);

/// Why a text is no [`Period`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a whole number and a unit: 500ms, 5s, 2m")]
pub struct InvalidPeriod;

// === impl Period ===

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or(InvalidPeriod)?;
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| InvalidPeriod)?;
        let milliseconds = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1_000),
            "m" => number.checked_mul(60_000),
            _ => None,
        };
        milliseconds.map(|ms| Self(std::time::Duration::from_millis(ms))).ok_or(InvalidPeriod)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn given(pairs: &[(&'static str, &[&str])]) -> Settings {
        Settings::new(
            "RINGFENCE_X",
            pairs.iter().map(|(key, values)| (*key, values.iter().map(|v| (*v).to_owned()).collect())).collect(),
        )
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let mut settings =
            given(&[("port", &["1"]), ("hosts", &[])]).with_file("c.yaml", "port: 2\nsize: 3\nhosts: [a, b]\n");
        assert_eq!(settings.or("port", 9_u16), 1);
        assert_eq!(settings.or("size", 9_u16), 3);
        assert_eq!(settings.or("depth", 9_u16), 9);
        assert_eq!(settings.list::<String>("hosts"), ["a", "b"]);
        assert_eq!(settings.finish(), Ok(()));
    }

    #[test]
    fn every_error_is_told_at_once() {
        let mut settings = given(&[("port", &["x"])]).with_file("c.yaml", "size: -1\ncolour: red\n");
        settings.required::<u16>("port");
        settings.required::<u16>("size");
        settings.required::<u16>("host");
        let errors = settings.finish().unwrap_err().to_string();
        assert_eq!(
            errors,
            "flag or environment: port: \"x\" cannot be used: invalid digit found in string\n\
             c.yaml:1:7: size: \"-1\" cannot be used: invalid digit found in string\n\
             settings: host: is missing: give --host, the environment variable RINGFENCE_X_HOST, or `host:` in the configuration file\n\
             c.yaml:2:9: colour: is no setting; there are: port, size, host"
        );
    }

    #[test]
    fn a_file_that_is_no_mapping_is_named() {
        let errors = given(&[]).with_file("c.yaml", "- a\n").finish().unwrap_err();
        assert!(errors.to_string().starts_with("c.yaml:1:1: (file): is a list: write a mapping of"), "{errors}");
    }

    #[test]
    fn each_bad_key_of_a_file_has_its_own_error_and_place() {
        let file = "dir: [a, b]\ndeadline: 1.5\ndir: x\nhost: {name: h1}\nport:\nsizes: [1, [2]]\nstate: \"\"\n";
        let mut settings = given(&[]).with_file("c.yaml", file);
        settings.optional::<std::path::PathBuf>("dir");
        settings.optional::<Period>("deadline");
        settings.required::<String>("host");
        settings.optional::<u16>("port");
        settings.list::<u16>("sizes");
        settings.optional::<std::path::PathBuf>("state");
        assert_eq!(
            settings.finish().unwrap_err().to_string(),
            "c.yaml:3:1: dir: duplicate key \"dir\": line 1 has it already; keep one\n\
             c.yaml:4:7: host: is a mapping: write a value, or a list of values\n\
             c.yaml:5:5: port: has no value: write a value, or a list of values\n\
             c.yaml:6:12: sizes[1]: is a list: write text\n\
             c.yaml:1:6: dir: takes one value\n\
             c.yaml:2:11: deadline: \"1.5\" cannot be used: write a whole number and a unit: 500ms, 5s, 2m\n\
             c.yaml:7:8: state: is empty: give it a value, or leave it out"
        );
    }

    #[test]
    fn a_required_list_is_missing_only_if_nothing_was_given() {
        let mut settings = given(&[("port", &["x"])]);
        assert!(settings.required_list::<u16>("port").is_empty());
        assert!(settings.required_list::<u16>("size").is_empty());
        let SettingErrors(errors) = settings.finish().unwrap_err();
        let told: Vec<_> = errors.iter().map(|error| (error.key.as_str(), error.message.contains("missing"))).collect();
        assert_eq!(told, [("port", false), ("size", true)]);
    }

    #[test]
    fn an_empty_file_has_no_settings() {
        assert_eq!(given(&[]).with_file("c.yaml", "# nothing yet\n\n").finish(), Ok(()));
    }

    #[test]
    fn a_period_needs_its_unit() {
        assert_eq!("500ms".parse(), Ok(Period(Duration::from_millis(500))));
        assert_eq!("5s".parse(), Ok(Period(Duration::from_secs(5))));
        assert_eq!("2m".parse(), Ok(Period(Duration::from_secs(120))));
        for wrong in ["5", "s", "", "-1s", "5h", "1.5s", "99999999999999999999s"] {
            assert_eq!(wrong.parse::<Period>(), Err(InvalidPeriod), "{wrong}");
        }
    }
}
