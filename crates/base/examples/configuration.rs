//! Prints the documentation of all configuration keys: `docs/configuration.md`.

fn main() {
    print!("{}", winterbourne_base::conf::markdown());
}
