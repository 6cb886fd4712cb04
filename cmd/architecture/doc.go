// Package architecture holds the tests that keep the rooms of this project apart: imports go one way, heavy libraries stay behind one door each,
// and nobody but one table tells one provider from another.
package architecture
