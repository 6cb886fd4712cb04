// Package sample is read by the test as source; it is never built.
package sample

import "time"

// Root is the file.
type Root struct {
	// Name is what the thing is called; a | b are both fine.
	Name   string        `yaml:"name"`
	Wait   time.Duration `yaml:"wait,omitempty"` // how long
	Colour Colour        `yaml:"colour"`         // of its front
	Parts  []Part        `yaml:"parts"`
	// Spare are further parts, by name.
	Spare  map[string]*Part  `yaml:"spare"`
	Tags   map[string]string `yaml:"tags"` // your own
	hidden int
	Unseen int `yaml:"-"`
}

// Part is a piece of it.
type Part struct {
	Size int  `yaml:"size"` // in metres
	Loud bool `yaml:"loud"` // whether it makes a noise
}

// Colour is a choice.
type Colour string

const (
	// Red is the colour of fire.
	Red  Colour = "red"
	Blue Colour = "blue" // that of the sea
	// Other is no Colour.
	Other = "other"
)

// Bare has a field that nothing explains.
type Bare struct {
	Mute string `yaml:"mute"`
}
