//! Where things lie: the project, its cache, its target folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The project's root: the folder that holds `xtask`.
pub fn root() -> PathBuf {
    // Cargo sets it for a run from any folder of the project. The compiled-in path serves a binary started by hand.
    let xtask =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.ancestors().find(|folder| folder.join("Trunk.toml").exists()).unwrap_or(&xtask).to_path_buf()
}

/// The folder that the worker fetches shards from, before it is copied into `dist`.
pub fn data() -> PathBuf {
    root().join("www/data")
}

/// What the build makes.
pub fn dist() -> PathBuf {
    root().join("dist")
}

/// Kiln's part of the user's cache folder (`$XDG_CACHE_HOME`, else `~/.cache`).
pub fn cache() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_CACHE_HOME")
        .or_else(|| Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".cache")))
        .map(|folder| folder.join("kiln"))
        .context("no home folder is set; set XDG_CACHE_HOME to a folder for what is kept between runs")
}

/// Writes a file so that it is there as a whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().context("a file lies in a folder")?;
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, bytes)?;
        // Temporary files are private; these are served.
        #[cfg(unix)]
        file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("writing {}", path.display()))
}
