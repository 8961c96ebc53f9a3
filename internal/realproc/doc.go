// Package realproc starts the real programs that pagegate is judged against (nginx, memcached, php, any command) for
// one test, on loopback, on ports picked free, and ends them with the test.
//
// Nothing here skips: a program that is missing fails the test with the name of the make target that installs it. No
// helper sleeps for luck: each start waits for a condition (the port answers) within a bound, and a program that dies
// while it is waited for fails the test with its own output.
package realproc
