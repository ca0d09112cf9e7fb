//! Hands out indexes: what is in use stays, what is new gets the lowest that is free.

use std::collections::BTreeSet;

use super::assign::Full;
use crate::bpf::Span;

/// Free single indexes of one table, lowest first.
pub(super) struct Indexes {
    table: &'static str,
    used: BTreeSet<u32>,
    next: u32,
    end: u32,
}

impl Indexes {
    /// Those of `first..end` that are not used.
    pub(super) fn new(table: &'static str, first: u32, end: u32, used: BTreeSet<u32>) -> Self {
        Self { table, used, next: first, end }
    }

    /// The lowest free one, which then is in use.
    pub(super) fn take(&mut self) -> Result<u32, Full> {
        while self.used.contains(&self.next) {
            self.next += 1;
        }
        if self.next >= self.end {
            return Err(Full { table: self.table, room: self.end });
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}

/// Free stretches of one table, lowest first.
pub(super) struct Stretches {
    table: &'static str,
    /// By start, without overlap.
    free: Vec<Span>,
    end: u32,
}

impl Stretches {
    /// Those of `0..end` that none of the used ones touches.
    pub(super) fn new(table: &'static str, end: u32, used: impl IntoIterator<Item = Span>) -> Self {
        let mut used: Vec<Span> = used.into_iter().collect();
        used.sort_by_key(|span| span.start);
        let mut free = Vec::new();
        let mut start = 0;
        for span in used {
            if span.start > start {
                free.push(Span { start, count: span.start - start });
            }
            start = start.max(span.start.saturating_add(span.count));
        }
        if end > start {
            free.push(Span { start, count: end - start });
        }
        Self { table, free, end }
    }

    /// The first that fits, which then is in use.
    pub(super) fn take(&mut self, count: u32) -> Result<Span, Full> {
        let full = Full { table: self.table, room: self.end };
        let place = self.free.iter().position(|span| span.count >= count).ok_or(full)?;
        let span = &mut self.free[place];
        let taken = Span { start: span.start, count };
        span.start += count;
        span.count -= count;
        if span.count == 0 {
            self.free.remove(place);
        }
        Ok(taken)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_index_is_taken_and_none_beyond_the_end() {
        let mut indexes = Indexes::new("t", 1, 5, BTreeSet::from([2, 3]));
        assert_eq!(indexes.take().unwrap(), 1);
        assert_eq!(indexes.take().unwrap(), 4);
        assert_eq!(indexes.take(), Err(Full { table: "t", room: 5 }));
    }

    #[test]
    fn a_stretch_is_taken_where_it_fits_between_used_ones() {
        let used = [Span { start: 4, count: 2 }, Span { start: 0, count: 2 }, Span { start: 5, count: 3 }];
        let mut stretches = Stretches::new("t", 12, used);
        assert_eq!(stretches.take(3).unwrap(), Span { start: 8, count: 3 });
        assert_eq!(stretches.take(2).unwrap(), Span { start: 2, count: 2 });
        assert_eq!(stretches.take(2), Err(Full { table: "t", room: 12 }));
        assert_eq!(stretches.take(1).unwrap(), Span { start: 11, count: 1 });
    }
}
