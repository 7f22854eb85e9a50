//! The parts that several commands wire: settings, HTTP clients, the store.
