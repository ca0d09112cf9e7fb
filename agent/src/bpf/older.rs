//! Maps of a release before this one whose layout differs, while its programs decide by them still.
//!
//! They are read by the description that they brought themselves, their programs' BTF, so that no structure of an older
//! layout is written down here. What is needed of them is little: which domains are enforced, and the connections. A
//! connection is carried over without its judgement and its places: at its next packet both are found anew, by what is in
//! force then, in the direction it was opened in.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use libbpf_rs::Program;
use libbpf_rs::btf::types::{MemberAttr, Struct};
use libbpf_rs::btf::{Btf, HasSize};

use super::consts::RF_EPOCH_NEVER;
use super::consts::RF_HOST_HERE;
use super::links::Links;
use super::pins::{is_shared, open_pinned, pin_failed};
use super::table::each;
use super::timeouts::life;
use super::{BpfError, Charge, Conn, ConnState, Maps, Pod, Table};

/// Where a program is pinned that describes them, as long as they are. Its name goes with theirs.
const PROGRAM: &str = "rf_older";

/// The maps of an older layout, and how its structures lie.
#[derive(Debug)]
pub(super) struct Older {
    dir: PathBuf,
    layout: u32,
    domain: Layout,
    iface: Layout,
    conn: Layout,
}

impl Older {
    /// Those pinned flat in `dir`, described by a program that decides by them; `None` if no link has any program: nothing
    /// is decided by them then.
    pub(super) fn open(dir: &Path, layout: u32, links: &Links) -> Result<Option<Self>, BpfError> {
        let Some(in_force) = links.some_program()? else { return Ok(None) };
        let unreadable = |source| BpfError::Load { action: "read the types of the programs in force", source };
        let btf = Btf::from_prog_id(program_of(dir, in_force)?).map_err(unreadable)?;
        Ok(Some(Self {
            dir: dir.to_owned(),
            layout,
            domain: Layout::of(&btf, dir, "rf_domain")?,
            iface: Layout::of(&btf, dir, "rf_iface")?,
            conn: Layout::of(&btf, dir, "rf_conn")?,
        }))
    }

    /// Its number.
    pub(super) fn layout(&self) -> u32 {
        self.layout
    }

    /// Ids of the domains that its programs enforce.
    pub(super) fn domains(&self) -> Result<BTreeSet<u32>, BpfError> {
        let ids = self.ids("rf_domains", &self.domain)?;
        Ok(ids.into_values().collect())
    }

    /// Copies connections that the new maps do not have yet, and charges them; how many.
    pub(super) fn carry(&self, maps: &Maps) -> Result<usize, BpfError> {
        let new: BTreeMap<u32, Place> = maps
            .ifaces
            .entries()?
            .into_iter()
            .map(|(index, iface)| (iface.id, Place { index, account: iface.account, here: iface.host == RF_HOST_HERE }))
            .collect();
        let old = self.ids("rf_ifaces", &self.iface)?;
        let moved = old.into_iter().filter_map(|(index, id)| Some((index, *new.get(&id)?))).collect();
        let v4 = self.carry_into(maps, &maps.conns4, "rf_conns4", &moved, |key| key.l4_proto)?;
        let v6 = self.carry_into(maps, &maps.conns6, "rf_conns6", &moved, |key| key.l4_proto)?;
        Ok(v4 + v6)
    }

    /// Of an array of things that have an id of the controller's: index → id, less what is absent.
    fn ids(&self, map: &'static str, layout: &Layout) -> Result<BTreeMap<u32, u32>, BpfError> {
        let handle = open_pinned(&self.dir.join(map))?;
        let mut ids = BTreeMap::new();
        each(map, &handle, |key, value| {
            let id = layout.member(value, "id", 0, 1);
            if let Some(index) = u32::from_bytes(key).filter(|_| id != 0) {
                ids.insert(index, id as u32);
            }
        })?;
        Ok(ids)
    }

    /// `moved`: old index of an interface → where it is now.
    fn carry_into<K: Pod>(
        &self,
        maps: &Maps,
        to: &Table<K, Conn>,
        map: &'static str,
        moved: &BTreeMap<u32, Place>,
        l4_proto: impl Fn(&K) -> u8,
    ) -> Result<usize, BpfError> {
        let handle = open_pinned(&self.dir.join(map))?;
        let mut found = Vec::new();
        each(map, &handle, |key, value| {
            found.extend(K::from_bytes(key).map(|key| (key, self.conn.conn(value, l4_proto(&key), moved))));
        })?;
        let mut carried = 0;
        for (key, conn) in found {
            // Of one that is there its own program takes care.
            if to.put_new(&key, &conn)? {
                maps.charge(&conn.charge)?;
                carried += 1;
            }
        }
        Ok(carried)
    }
}

/// A program that decides by the maps in `dir`. The first agent that finds them takes one that is `in_force` and pins it
/// before it replaces any: one that dies amid that leaves links with programs of both layouts.
fn program_of(dir: &Path, in_force: u32) -> Result<u32, BpfError> {
    let path = dir.join(PROGRAM);
    let refused = |source| BpfError::Load { action: "keep one of the programs in force", source };
    if path.exists() {
        let program = Program::fd_from_pinned_path(&path).map_err(refused)?;
        return Program::id_from_fd(program.as_fd()).map_err(refused);
    }
    let program = Program::fd_from_id(in_force).map_err(refused)?;
    super::links::pin(program.as_fd(), &path).map_err(pin_failed(&path, "create"))?;
    Ok(in_force)
}

/// Where an interface is by the new maps.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    index: u32,
    account: u32,
    here: bool,
}

/// Removes the maps that older layouts pinned flat in the folder, and the program that describes them.
pub(super) fn remove_pins(dir: &Path) -> Result<(), BpfError> {
    for entry in fs::read_dir(dir).map_err(pin_failed(dir, "list"))? {
        let path = entry.map_err(pin_failed(dir, "list"))?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if is_shared(name) && path != super::boot::BootMap::path(dir) {
            fs::remove_file(&path).map_err(pin_failed(&path, "remove"))?;
        }
    }
    Ok(())
}

/// How a structure lies in memory: place and size of each field by name, in bytes. Structures that maps hold have no holes
/// (`-Wpadded` in `types.h`), so that a field ends where the next begins.
#[derive(Debug)]
struct Layout {
    fields: BTreeMap<String, (usize, usize)>,
}

impl Layout {
    fn of(btf: &Btf<'_>, dir: &Path, name: &'static str) -> Result<Self, BpfError> {
        let unknown = || BpfError::Pin {
            path: dir.to_owned(),
            action: "read",
            source: std::io::Error::other(format!("the programs in force do not describe struct {name}")),
        };
        let found: Struct<'_> = btf.type_by_name(name).ok_or_else(unknown)?;
        let mut places: Vec<(String, usize)> = Vec::new();
        for member in found.iter() {
            if let (Some(name), MemberAttr::Normal { offset }) = (member.name, member.attr) {
                places.push((name.to_string_lossy().into_owned(), offset as usize / 8));
            }
        }
        let ends = places.iter().skip(1).map(|(_, place)| *place).chain([found.size()]);
        let fields =
            places.iter().zip(ends).map(|((name, place), end)| (name.clone(), (*place, end - place))).collect();
        Ok(Self { fields })
    }

    /// A field that is `count` numbers of one size: the one at `place`; 0 of a field that is not there.
    fn member(&self, value: &[u8], name: &str, place: usize, count: usize) -> u64 {
        let Some((start, room)) = self.fields.get(name) else { return 0 };
        let size = room / count;
        let bytes = value.get(start + place * size..).and_then(|rest| rest.get(..size)).unwrap_or_default();
        let mut number = [0; 8];
        for (to, from) in number.iter_mut().zip(bytes) {
            *to = *from;
        }
        // Of a number of `size` bytes these are the first on every machine that the programs are built for.
        u64::from_le_bytes(number)
    }

    /// What of a connection outlives its layout.
    fn conn(&self, value: &[u8], l4_proto: u8, moved: &BTreeMap<u32, Place>) -> Conn {
        let number = |name| self.member(value, name, 0, 1);
        let sides = |name| [0, 1].map(|side| self.member(value, name, side, 2));
        let places = sides("iface").map(|index| moved.get(&(index as u32)).copied().unwrap_or_default());
        let origin = number("origin") as u8 & 1;
        let [opener, asked] = if origin == 0 { places } else { [places[1], places[0]] };
        let state = ConnState(number("state") as u32);
        let from_outside = opener.index == 0;
        // As `rf_charge_of` in `flow.h`.
        let charge = Charge {
            account: [opener.account, if from_outside || asked.here { asked.account } else { 0 }],
            half_open: u32::from(state == ConnState::RF_CONN_OPENING),
            from_outside: u32::from(from_outside),
        };
        Conn {
            seen_ns: number("seen_ns"),
            packets: sides("packets"),
            bytes: sides("bytes"),
            domain_epoch: RF_EPOCH_NEVER,
            origin_iface: opener.index,
            from_rule: number("from_rule") as u32,
            to_rule: number("to_rule") as u32,
            state,
            origin,
            denied: number("denied") as u8,
            tcp_flags: sides("tcp_flags").map(|flags| flags as u8),
            life: life(l4_proto) as u8,
            charge,
            ..Conn::zeroed()
        }
    }
}
