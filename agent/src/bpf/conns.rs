//! Connections as the agent sees them. The programs make, charge and delete them; the agent counts their charges anew, and
//! takes out what it made itself.

use std::collections::BTreeMap;

use super::consts::{
    RF_BUDGET_INBOUND, RF_BUDGET_INBOUND_HALF, RF_BUDGET_OUTSIDE, RF_BUDGET_OUTSIDE_HALF, RF_BUDGET_OWN,
    RF_BUDGET_OWN_HALF, RF_EPOCH_NEVER,
};
use super::{BpfError, Charge, Conn, Conn4Key, Conn6Key, Maps, Timeouts};

impl Charge {
    /// What it takes: account and `RF_BUDGET_*`.
    pub fn taken(&self) -> impl Iterator<Item = (u32, u32)> + use<> {
        let [opener, asked] = self.account;
        let (kind, half) = if self.from_outside == 0 {
            (RF_BUDGET_INBOUND, RF_BUDGET_INBOUND_HALF)
        } else {
            (RF_BUDGET_OUTSIDE, RF_BUDGET_OUTSIDE_HALF)
        };
        let half_open = self.half_open != 0;
        let all = [(opener, RF_BUDGET_OWN, true), (opener, RF_BUDGET_OWN_HALF, half_open), (asked, kind, true)];
        let all = all.into_iter().chain([(asked, half, half_open)]);
        all.filter(|(account, _, taken)| *account != 0 && *taken).map(|(account, budget, _)| (account, budget))
    }
}

impl Maps {
    /// Takes out connections that were carried over from an earlier release and never spoke again: only the
    /// programs' sweep deletes entries, and it knows those alone that a program judged. How many wait for that still.
    pub fn collect_carried(&self, timeouts: &Timeouts, now_ns: u64) -> Result<usize, BpfError> {
        let table = timeouts.table();
        let silent = |conn: &Conn| conn.domain_epoch == RF_EPOCH_NEVER;
        let over = |conn: &Conn| {
            let row = table.get(usize::from(conn.life));
            let timeout = row.and_then(|row| row.get(conn.state.0 as usize)).copied().unwrap_or_default();
            now_ns.saturating_sub(conn.seen_ns) > timeout
        };
        let mut waiting = 0;
        for (key, conn) in self.conns4.entries()?.into_iter().filter(|(_, conn)| silent(conn)) {
            if over(&conn) { self.remove_conn4(&key)? } else { waiting += 1 }
        }
        for (key, conn) in self.conns6.entries()?.into_iter().filter(|(_, conn)| silent(conn)) {
            if over(&conn) { self.remove_conn6(&key)? } else { waiting += 1 }
        }
        Ok(waiting)
    }

    /// Charges what a connection takes that the agent put there.
    pub(super) fn charge(&self, charge: &Charge) -> Result<(), BpfError> {
        charge.taken().try_for_each(|(account, budget)| self.accounts.add_used(account, budget, 1))
    }

    /// Shows the charge of every connection of either family. Programs open and delete meanwhile.
    pub fn visit_charges(&self, mut visit: impl FnMut(&Charge)) -> Result<(), BpfError> {
        self.conns4.visit(|_, conn| visit(&conn.charge))?;
        self.conns6.visit(|_, conn| visit(&conn.charge))
    }

    /// What all connections together take now, by account and budget, counted one by one.
    pub fn count_charges(&self) -> Result<BTreeMap<(u32, u32), u64>, BpfError> {
        let mut counted = BTreeMap::new();
        self.visit_charges(|charge| charge.taken().for_each(|taken| *counted.entry(taken).or_default() += 1))?;
        Ok(counted)
    }

    /// Takes a connection out, and gives back what it was charged.
    pub fn remove_conn4(&self, key: &Conn4Key) -> Result<(), BpfError> {
        self.give_back(self.conns4.take(key)?)
    }

    /// The same, of IPv6.
    pub fn remove_conn6(&self, key: &Conn6Key) -> Result<(), BpfError> {
        self.give_back(self.conns6.take(key)?)
    }

    fn give_back(&self, conn: Option<Conn>) -> Result<(), BpfError> {
        let mut taken = conn.iter().filter(|conn| conn.over == 0).flat_map(|conn| conn.charge.taken());
        taken.try_for_each(|(account, budget)| self.accounts.add_used(account, budget, -1))
    }
}
