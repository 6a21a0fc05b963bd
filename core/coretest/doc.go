// Package coretest is for authors of adapters: a fake [Host] for unit tests, and
// [Run], the suite that every adapter passes, in process and again through a
// real child process.
//
// For the child the test binary is the plugin. Its TestMain hands over first:
//
//	func TestMain(m *testing.M) { coretest.Main(m, crossbar.Adapter{}) }
//
//	func TestSuite(t *testing.T) {
//		coretest.Run(t, coretest.Subject{
//			Adapter: crossbar.Adapter{},
//			Config:  func(listen string) string { return `{"listen":"` + listen + `", …}` },
//			Emit:    func(t testing.TB, listen string) { … POST … },
//		})
//	}
package coretest
