// Package playback plays HPCG and STREAM trials on a simulated cluster: it draws figures from the published measurements of the study,
// writes the log that a real trial would have left, line by line in simulated time, and marks all of it as a replay.
package playback
